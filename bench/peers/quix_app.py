"""Quix Streams, exactly once, in an environment of its own: `python quix_app.py JSON`.

One stateful `apply`, one output topic, its defaults but for guarantee and commit interval. JSON,
its quickest serialization; with `avro` its own Avro ones, behind the prefix of the others' records.
With `regroup` the events are keyed anew first (`group_by`), as a router does. Only its commits are
timed.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from quixstreams import Application
from quixstreams.checkpointing.checkpoint import Checkpoint
from quixstreams.models import SerializationContext
from quixstreams.models.serializers.avro import AvroDeserializer, AvroSerializer

TOLD: dict[str, Any] = json.loads(sys.argv[1])
COMMITS: list[float] = []


def timed(commit: Any) -> Any:
    """Times a commit that has something to commit."""

    def committing(self: Any, *args: Any, **kwargs: Any) -> Any:
        busy, began = bool(self._tp_offsets), time.perf_counter()
        answer = commit(self, *args, **kwargs)
        if busy:
            COMMITS.append(time.perf_counter() - began)
        return answer

    return committing


class Reader(AvroDeserializer):  # type: ignore[misc] # not in our environment
    """Avro behind a prefix."""

    def __call__(self, value: bytes, ctx: SerializationContext) -> Any:
        """Reads what is behind it."""
        return super().__call__(value[len(TOLD["avro"]["event_prefix"]) // 2 :], ctx)


class Writer(AvroSerializer):  # type: ignore[misc]
    """Avro behind a prefix."""

    _prefix = bytes.fromhex(TOLD["avro"]["command_prefix"] if "avro" in TOLD else "")

    def __call__(self, value: Any, ctx: SerializationContext) -> bytes:
        """Puts the prefix before it."""
        plain: bytes = super().__call__(value, ctx)
        return self._prefix + plain


def order(event: dict[str, Any], state: Any) -> dict[str, Any]:
    """The job."""
    now = state.get("s") or {
        "count": 0,
        "total": 0,
        "status": "new",
        "last_event": "",
        "pad": TOLD["state_pad"],
    }
    now["count"] += 1
    now["total"] += event["amount"]
    now["status"] = "open" if now["count"] % 10 else "settled"
    now["last_event"] = event["event_id"]
    state.set("s", now)
    return {
        "command_id": event["event_id"],
        "process": event["process"],
        "seq": event["seq"],
        "kind": "ShipOrder",
        "count": now["count"],
        "total": now["total"],
        "occurred_at": event["occurred_at"],
        "pad": "yyyy",
    }


def _between(avro: Any) -> dict[str, Any]:
    """How events are written to the topic that `group_by` makes, and read from it."""
    if not avro:
        return {}
    reads, writes = AvroDeserializer(avro["event"]), AvroSerializer(avro["event"])
    return {"value_deserializer": reads, "value_serializer": writes}


def main() -> None:
    """Runs it until a signal."""
    Checkpoint.commit = timed(Checkpoint.commit)
    app = Application(
        broker_address=TOLD["servers"],
        consumer_group=TOLD["group"],
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=TOLD["interval_ms"] / 1000,
        state_dir=TOLD["state_dir"],
        loglevel="WARNING",
    )
    avro = TOLD.get("avro")
    reads = Reader(avro["event"]) if avro else "json"
    writes = Writer(avro["command"]) if avro else "json"
    source = app.topic(TOLD["source"], value_deserializer=reads)
    commands = app.topic(TOLD["commands"], value_serializer=writes)
    frame = app.dataframe(source)
    if TOLD.get("regroup"):
        frame = frame.group_by(
            lambda event: event["process"],
            name="process",
            key_serializer="str",
            key_deserializer="str",
            **_between(avro),
        )
    frame = frame.apply(order, stateful=True)
    frame.to_topic(commands)
    app.run()
    ordered = sorted(COMMITS) or [0.0]
    at = {f"p{share}_ms": ordered[len(ordered) * share // 100] * 1000 for share in (50, 99)}
    told = {"n": len(COMMITS), **at, "max_ms": ordered[-1] * 1000}
    Path(TOLD["stats"]).write_text(json.dumps({"commit": told}))


if __name__ == "__main__":
    main()
