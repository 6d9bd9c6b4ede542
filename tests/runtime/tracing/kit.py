"""A small world whose spans are kept in memory, by the real SDK."""

from collections.abc import Callable, Sequence
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pmstream.runtime.commit import Probe
from pmstream.runtime.log import Headers
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import make_worker
from pmstream.runtime.spans import Attribute
from pmstream.runtime.telemetry import Telemetry
from pmstream.runtime.trail import Trail
from pmstream.runtime.worker import Worker
from tests.runtime.clocked import ClockedWorld
from tests.runtime.world import Happened

TRACE, PRODUCER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SAMPLED: Headers = (("traceparent", f"00-{TRACE}-{PRODUCER}-01".encode()),)
UNSAMPLED: Headers = (("traceparent", f"00-{TRACE}-{PRODUCER}-00".encode()),)

ENOUGH = 100_000
"""Spans a second that no test reaches."""


class Collector:
    """Takes spans, and is asked about them."""

    def __init__(self) -> None:
        self._kept = InMemorySpanExporter()
        self.telemetry = Telemetry(self._kept, "world")

    def trail(self, per_second: int = ENOUGH, *, links: bool = False) -> Trail:
        return Trail(self.telemetry, per_second, links=links)

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """All that were handed over."""
        self.telemetry.flush()
        return self._kept.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        """Those of a name, the eldest first."""
        found = [each for each in self.spans if each.name == name]
        return sorted(found, key=lambda each: each.start_time or 0)

    def one(self, name: str) -> ReadableSpan:
        """The only one of a name."""
        [found] = self.named(name)
        return found

    def close(self) -> None:
        self.telemetry.close(10)


class TracedWorld(ClockedWorld):
    """A world that traces.

    Attributes:
        collector: has the spans.
        trails: of its workers, by name.
        per_second, links: see `Trail`.
    """

    def __init__(self, *args: Any, per_second: int, links: bool, **options: Any) -> None:
        self.collector, self.per_second, self.links = Collector(), per_second, links
        self.trails: dict[str, Trail] = {}
        super().__init__(*args, **options)

    def start(self, role: str, name: str, probe: Probe = lambda _step: None) -> Worker:
        trail = self.trails[name] = self.collector.trail(self.per_second, links=self.links)
        worker = make_worker(
            self.app,
            "counter",
            role,
            name,
            self.log,
            self.settings,
            self.clock,
            lambda *told: self.told.append(told),
            probe,
            trail,
        )
        self.workers[name] = worker
        return worker

    def close(self) -> None:
        super().close()
        self.collector.close()


Make = Callable[..., TracedWorld]
"""Starts a world, see `conftest.make`."""


def memory(world: TracedWorld) -> MemoryLog:
    """Its log, which can be made to fail."""
    assert isinstance(world.log, MemoryLog)
    return world.log


def happens(world: TracedWorld, what: str = "go", *, process: str = "a", n: int = 0) -> None:
    """A sampled event is worked on."""
    world.produce(Happened(process=process, what=what, n=n), headers=SAMPLED)
    world.settle()


def trace_of(span: ReadableSpan) -> str:
    """Its trace id."""
    assert span.context is not None
    return f"{span.context.trace_id:032x}"


def id_of(span: ReadableSpan) -> str:
    """Its span id."""
    assert span.context is not None
    return f"{span.context.span_id:016x}"


def parent_of(span: ReadableSpan) -> str:
    """Its parent's span id; "" when it begins a trace."""
    return f"{span.parent.span_id:016x}" if span.parent is not None else ""


def links_of(span: ReadableSpan) -> list[str]:
    """Span ids that it links to."""
    return [f"{each.context.span_id:016x}" for each in span.links]


def told(span: ReadableSpan, attribute: Attribute) -> Any:
    """What a span says; None when it does not."""
    return (span.attributes or {}).get(attribute)


def carried_by(headers: Headers) -> tuple[str, str]:
    """Trace id and span id that headers carry on."""
    [value] = [value for name, value in headers if name == "traceparent"]
    _, trace, span, _ = (value or b"").decode().split("-")
    return trace, span
