"""What tracing costs an event, in one run: off, on without samples, at 1 %, all, all but a limit.

    python -m bench.tracing --events 120000

CPU time of this process, the exporter's thread with it (all but the socket: what it sends is thrown
away), without Kafka; a partition in direct mode. The five take turns, some batches each, so that a
busy machine disturbs all alike. The last line is JSON: median microseconds an event, and percent
more than `off` for the others, as medians of neighbours.
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter

from bench.apps import NAME, make
from bench.path import BATCH, COMMANDS, SOURCE, records_of
from bench.rig import traced_headers
from bench.stage import ensure
from pmstream.cli.work import COLLECTED_AFTER
from pmstream.config import Settings
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import Record, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.partition import Partition
from pmstream.runtime.roles import INSTANCES, make_worker
from pmstream.runtime.spans import Transaction
from pmstream.runtime.telemetry import Telemetry
from pmstream.runtime.trail import Trail

MODES = {"off": 0.0, "none": 0.0, "one_percent": 0.01, "all": 1.0, "limited": 1.0}
"""Name to the share of events that are sampled; `off` has no tracing at all."""

ROUND = 6
"""Batches until spans are written: about as many at 1 % as the exporter takes at once."""

ENOUGH = 10_000_000
"""Spans a second that are never reached: the limit would flatter all but `limited`."""


class Thrown(HTTPAdapter):
    """A collector that takes everything and keeps nothing."""

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        """Answers at once."""
        answer = Response()
        answer.status_code, answer.request, answer.url = 200, request, request.url or ""
        return answer


def exporter() -> SpanExporter:
    """The real one, all but the socket."""
    session = Session()
    session.mount("http://", Thrown())
    return OTLPSpanExporter("http://nowhere/v1/traces", session=session)


class Contestant:
    """A partition that works on events, a share of them sampled."""

    def __init__(self, mode: str, events: int, stack: ExitStack) -> None:
        self._clock, self.telemetry, self.trail = SystemClock(), None, None
        if mode != "off":
            self.telemetry = Telemetry(exporter(), "bench")
            stack.callback(self.telemetry.close, 10)
            self.trail = Trail(self.telemetry, 0 if mode == "limited" else ENOUGH)
        log = MemoryLog(self._clock)
        log.create_topics([TopicSpec(SOURCE, 1), TopicSpec(COMMANDS, 1)])
        app = make("path", SOURCE, COMMANDS, keyed=True)
        ensure(app, log)
        settings = Settings(state_dir=Path(stack.enter_context(tempfile.TemporaryDirectory())))
        worker = make_worker(
            app, NAME, INSTANCES, "w", log, settings, self._clock, trail=self.trail
        )
        stack.callback(worker.close)
        stage = worker.stage
        assert isinstance(stage, InstancesStage)
        while not stage.partitions:
            worker.turn()
        self._part: Partition = stage.partitions[0]
        self._records = _traced(records_of(app, events), MODES[mode])
        self._at = self._offset = 0

    def round(self) -> float:
        """CPU microseconds an event of some more batches, their spans written."""
        began = time.process_time()
        for _ in range(ROUND):
            self._batch()
        if self.telemetry is not None:
            self.telemetry.flush()
        return (time.process_time() - began) / (ROUND * BATCH) * 1e6

    def _batch(self) -> None:
        part, first = self._part, self._at
        for record in self._records[first : first + BATCH]:
            part.take(record)
        began = time.time_ns()
        part.process(self._clock.now(), BATCH)
        share = part.stage(1)
        self._offset += len(share.records) + 1
        share.acknowledged(self._offset)
        if self.trail is not None:
            self.trail.settle(Transaction.COMMITTED, [part.source], began)
        self._at += BATCH


def _traced(records: list[Record], share: float) -> list[Record]:
    """The records with a context each, evenly sampled."""
    return [
        replace(record, headers=tuple(traced_headers(number, share)))
        for number, record in enumerate(records)
    ]


def main() -> None:
    """Measures."""
    given = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    given.add_argument("--events", type=int, default=120_000)
    events = given.parse_args().events
    gc.set_threshold(*COLLECTED_AFTER)
    found: dict[str, list[float]] = {mode: [] for mode in MODES}
    with ExitStack() as stack:
        contestants = {mode: Contestant(mode, events, stack) for mode in MODES}
        for _ in range(events // (ROUND * BATCH)):
            for mode, each in contestants.items():
                found[mode].append(each.round())
    steady = {mode: each[1:] for mode, each in found.items()}
    told = {mode: round(statistics.median(each), 2) for mode, each in steady.items()}
    more = {
        f"{mode}_percent": round(
            statistics.median(
                (own / off - 1) * 100 for own, off in zip(each, steady["off"], strict=True)
            ),
            1,
        )
        for mode, each in steady.items()
        if mode != "off"
    }
    print(json.dumps({**told, **more}))


if __name__ == "__main__":
    main()
