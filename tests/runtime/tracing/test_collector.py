"""The door to OpenTelemetry: a real OTLP receiver, one that is away, and limits with names."""

import subprocess
import sys
import threading
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.metrics import OF_TRACING
from pmstream.runtime import telemetry as door
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.spans import MEANINGS, Attribute, Kind, Span, Transaction
from pmstream.runtime.telemetry import Telemetry
from pmstream.runtime.traceparent import next_context
from pmstream.runtime.trail import Trail
from tests.runtime.tracing.otlp import Receiver, receiving

PLACE = TopicPartition("t", 0)
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def span(name: str = "x", **more: Any) -> Span:
    return Span(name=name, context=next_context(more.get("parent")), began=1, **more)


def tell(trail: Trail) -> None:
    """A span, and the commit that it belongs to."""
    process = span(
        "process t",
        kind=Kind.CONSUMER,
        parent=PARENT,
        links=[PARENT],
        attributes={Attribute.PROCESS_UUID: "a"},
        is_input=True,
    )
    trail.keep(PLACE, [process])
    trail.settle(Transaction.COMMITTED, [PLACE], began=1)


def test_a_real_receiver_has_all_when_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with receiving() as receiver:
        settings = Settings(tracing=True, tracing_endpoint=receiver.endpoint)
        with tracing(settings, "bank", print, **{"service.instance.id": "w-0"}) as trail:
            assert trail is not None
            tell(trail)

    [of_resource] = [each for request in receiver.requests for each in request.resource_spans]
    about = {each.key: each.value.string_value for each in of_resource.resource.attributes}
    assert (about["service.name"], about["service.instance.id"]) == ("bank", "w-0")
    spans = {each.name: each for each in of_resource.scope_spans[0].spans}
    assert spans.keys() == {"process t", "commit"}
    process = spans["process t"]
    assert process.trace_id.hex() == PARENT.decode().split("-")[1]
    assert process.parent_span_id.hex() == PARENT.decode().split("-")[2]
    assert process.links[0].span_id == process.parent_span_id
    told = {each.key: each.value.string_value for each in process.attributes}
    assert told == {"pmstream.process_uuid": "a", "pmstream.transaction": "committed"}
    assert spans["commit"].links[0].span_id == process.span_id


def test_the_endpoint_may_be_what_others_read_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "payments")
        with tracing(Settings(tracing=True), "bank", print) as trail:
            assert trail is not None
            tell(trail)

    attributes = receiver.requests[0].resource_spans[0].resource.attributes
    assert "payments" in {each.value.string_value for each in attributes}


def test_a_collector_that_is_away_costs_spans_and_is_told_once() -> None:
    told: list[str] = []
    before = set(threading.enumerate())
    with Receiver() as server:
        gone = server.endpoint  # nobody listens there any more
    settings = Settings(tracing=True, tracing_endpoint=gone, shutdown_timeout_s=1)
    with tracing(settings, "bank", told.append) as trail:
        assert trail is not None
        tell(trail)

    assert any("lost" in each for each in told)
    for thread in set(threading.enumerate()) - before:
        thread.join(30)  # it has stopped trying
        assert not thread.is_alive()


class Stuck(SpanExporter):
    """A collector that takes its time, until it is let go."""

    def __init__(self) -> None:
        self.is_asked, self.go = threading.Event(), threading.Event()

    def export(self, spans: Any) -> SpanExportResult:
        self.is_asked.set()
        self.go.wait(60)
        return SpanExportResult.SUCCESS


def test_what_a_slow_collector_has_no_room_for_is_lost_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "MOST_QUEUED", 5)
    exporter = Stuck()
    telemetry = Telemetry(exporter, "bank")
    for _ in range(8):
        telemetry.take([span()], Transaction.COMMITTED)

    assert telemetry.counts()["lost"] == 3
    exporter.go.set()
    telemetry.close(60)
    assert telemetry.counts() == {"sent": 5, "failed": 0, "lost": 3}


def test_of_many_spans_at_once_only_those_without_room_are_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(door, "MOST_QUEUED", 300)
    exporter = Stuck()
    telemetry = Telemetry(exporter, "bank")
    telemetry.take([span() for _ in range(1_000)], Transaction.COMMITTED)

    assert telemetry.counts()["lost"] == 700
    exporter.go.set()
    telemetry.close(60)
    assert telemetry.counts() == {"sent": 300, "failed": 0, "lost": 700}


class Failing(SpanExporter):
    """Fails so many times."""

    def __init__(self, times: int) -> None:
        self._left = times

    def export(self, spans: Any) -> SpanExportResult:
        self._left -= 1
        if self._left >= 0:
            raise OSError("no route")
        return SpanExportResult.SUCCESS


def test_an_outage_of_the_collector_is_told_when_it_begins_and_when_it_ends() -> None:
    told: list[str] = []
    telemetry = Telemetry(Failing(2), "bank", told.append)
    for _ in range(4):
        telemetry.take([span()], Transaction.COMMITTED)
        telemetry.flush()

    assert [each.split(":")[0] for each in told] == [
        "spans do not reach the collector",
        "spans reach the collector again",
    ]
    assert telemetry.counts() == {"sent": 2, "failed": 2, "lost": 0}
    telemetry.close(10)


def test_a_commit_links_to_so_many_inputs_at_most() -> None:
    spans: list[ReadableSpan] = []

    class Kept(SpanExporter):
        def export(self, each: Any) -> SpanExportResult:
            spans.extend(each)
            return SpanExportResult.SUCCESS

    telemetry = Telemetry(Kept(), "bank")
    trail = Trail(telemetry, 10_000)
    for _ in range(200):
        trail.keep(PLACE, [span(is_input=True)])
    trail.settle(Transaction.COMMITTED, [PLACE], began=1)
    telemetry.close(10)

    [commit] = [each for each in spans if each.name == "commit"]
    assert len(commit.links) == 128
    assert (commit.attributes or {})[Attribute.INPUTS] == 200


def test_what_tracing_counts_has_its_row() -> None:
    telemetry = Telemetry(Failing(0), "bank")

    assert Trail(telemetry, 1).values().keys() == {each.name for each in OF_TRACING}
    telemetry.close(10)


def test_the_limit_refills_with_time() -> None:
    now = [0.0]
    telemetry = Telemetry(Failing(0), "bank")
    trail = Trail(telemetry, 2, clock=lambda: now[0])
    for _ in range(2):
        assert trail.allows()
        trail.keep(PLACE, [span()])
    assert not trail.allows()
    now[0] += 0.5

    assert trail.allows()
    assert trail.limited == 1
    telemetry.close(10)


@pytest.mark.parametrize("variable", ["", "OTEL_SDK_DISABLED"])
def test_nothing_is_imported_while_tracing_is_off(variable: str) -> None:
    program = """
import sys, tempfile
from pathlib import Path
from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.examples.transfer import app
from pmstream.testing.running import Running

settings = Settings(tracing=bool(sys.argv[1:]))
with tempfile.TemporaryDirectory() as folder, tracing(settings, "bank", print) as trail:
    assert trail is None
    Running(app, Path(folder)).close()
import pmstream.cli.root, pmstream.cli.work, pmstream.cli.demo_bank
found = [name for name in sys.modules if name.startswith("opentelemetry")]
assert not found, found
"""
    arguments = [variable] if variable else []
    environment = {variable: "true"} if variable else {}
    ran = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**environment, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr


def test_every_attribute_has_its_meaning() -> None:
    assert MEANINGS.keys() == set(Attribute)
    assert all(each.endswith(".") for each in MEANINGS.values())
