"""The contestants, by name."""

import json
import sys
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import msgspec

from bench import grounds
from bench.apps import SCHEMAS
from bench.job import STATE_PAD
from bench.peers import Peer, Process, Told, of_plain, of_pmstream
from pmstream.runtime import avro

_KSTREAMS = grounds.PEERS / "kstreams"
_JVM = ("-Xms512m", "-Xmx512m")


SPANS_PER_SECOND = 1_000
"""The default of `trace_spans_per_second`."""

NO_LIMIT = 10_000_000


def _traced(name: str, what: str, sampled: float, **told: Any) -> Peer:
    """A worker in direct mode, whose events all have a `traceparent`."""
    return Peer(
        name=name,
        what=f"direct mode, every event with a traceparent, {what}",
        processes=(worker("instances"),),
        state_of=of_pmstream,
        keyed=True,
        sampled=sampled,
        told=told,
        aside=True,
    )


def _module(name: str) -> Process:
    return Process("peer", lambda told: [sys.executable, "-m", name, json.dumps(told)])


def worker(role: str) -> Process:
    """A worker of pmstream."""

    def command(told: Told) -> Sequence[str]:
        settings = {
            "bootstrap_servers": told["servers"],
            "state_dir": told["state_dir"],
            "commit_interval_ms": told["interval_ms"],
            "max_batch_records": told["batch"],
            "session_timeout_ms": 6_000,
            "tracing": told.get("tracing", False),
            "tracing_endpoint": told.get("endpoint", ""),
            "trace_spans_per_second": told.get("spans_per_second", SPANS_PER_SECOND),
        }
        more = {"role": role, "name": f"{role}-{told['number']}"}
        whole = {**told, **more, "settings": settings}
        return [sys.executable, "-m", "bench.worker", json.dumps(whole)]

    return Process(role, command)


def _quix(told: Told) -> Sequence[str]:
    whole = {**told, "state_pad": STATE_PAD}
    if told.get("codec") == "avro":
        whole["avro"] = _avro()
    script = grounds.PEERS / "quix_app.py"
    return [grounds.quix_python(), str(script), json.dumps(whole)]


def _avro() -> dict[str, Any]:
    """Both messages' schemas."""
    return {name: json.loads(_file(name).read_text()) for name in _SCHEMAS} | _prefixes("_")


def _kstreams(told: Told) -> Sequence[str]:
    more: dict[str, Any] = {"state": _KSTREAMS / "Order.avsc", "state_pad": STATE_PAD}
    told = {**told, **more, **{name: _file(name) for name in _SCHEMAS}, **_prefixes("-")}
    arguments = [part for name, value in told.items() for part in (f"--{name}", str(value))]
    return ["java", *_JVM, "-cp", grounds.kstreams_class_path(), "Ordering", *arguments]


_SCHEMAS = {"event": "bench.OrderPlaced", "command": "bench.ShipOrder"}


def _file(message: str) -> Path:
    return SCHEMAS / f"{_SCHEMAS[message]}.avsc"


def _prefixes(joint: str) -> dict[str, str]:
    """What the records of either message begin with, in hex."""
    known, _ = avro.load(SCHEMAS)
    return {
        f"{name}{joint}prefix": (b"\xc3\x01" + known[schema].fingerprint).hex()
        for name, schema in _SCHEMAS.items()
    }


_ORDER = fastavro.schema.load_schema(str(_KSTREAMS / "Order.avsc"))


def _of_kstreams(key: bytes, value: bytes) -> tuple[str, bytes]:
    fields: Any = fastavro.schemaless_reader(BytesIO(value), _ORDER, None)
    return key.decode(), msgspec.json.encode(fields)


PEERS = {
    each.name: each
    for each in (
        Peer(
            name="pmstream",
            what="direct mode, Avro: one process",
            processes=(worker("instances"),),
            state_of=of_pmstream,
            keyed=True,
        ),
        Peer(
            name="pmstream-two-hops",
            what="router and instances worker, Avro: two processes",
            processes=(worker("instances"), worker("router")),
            state_of=of_pmstream,
            keyed=False,
        ),
        Peer(
            name="bare",
            what="a loop with nothing around it, with pmstream's own codec",
            processes=(_module("bench.peers.bare"),),
            state_of=of_plain,
            told={"codec": "pmstream"},
            changelog=True,
        ),
        Peer(
            name="bare-fastavro",
            what="the same with plain fastavro",
            processes=(_module("bench.peers.bare"),),
            state_of=of_plain,
            told={"codec": "fastavro"},
            changelog=True,
        ),
        Peer(
            name="quix",
            what="Quix Streams 3.28.1, exactly once, JSON",
            processes=(Process("peer", _quix),),
            state_of=of_plain,
            json=True,
        ),
        Peer(
            name="quix-avro",
            what="the same with its own Avro serializers: the bytes that the others read",
            processes=(Process("peer", _quix),),
            state_of=of_plain,
            told={"codec": "avro"},
        ),
        Peer(
            name="quix-group-by",
            what="the same, its events keyed anew first",
            processes=(Process("peer", _quix),),
            state_of=of_plain,
            told={"regroup": True},
            json=True,
        ),
        Peer(
            name="quix-avro-group-by",
            what="the same with its own Avro serializers",
            processes=(Process("peer", _quix),),
            state_of=of_plain,
            told={"codec": "avro", "regroup": True},
        ),
        Peer(
            name="kstreams",
            what="Kafka Streams 4.3.1, exactly once v2, Avro, one thread, no record cache",
            processes=(Process("peer", _kstreams),),
            state_of=_of_kstreams,
            told={"cached": False},
            events=4,
        ),
        _traced("pmstream-traced-off", "1 % sampled, tracing off", 0.01),
        _traced("pmstream-traced-0", "none sampled, tracing on", 0, tracing=True),
        _traced("pmstream-traced-1", "1 % sampled, tracing on", 0.01, tracing=True),
        _traced("pmstream-traced-100", "all sampled, 1 000 spans a second", 1, tracing=True),
        _traced(
            "pmstream-traced-all",
            "all sampled, no limit",
            1,
            tracing=True,
            spans_per_second=NO_LIMIT,
        ),
    )
}
