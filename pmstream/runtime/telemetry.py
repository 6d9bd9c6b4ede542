"""The door to OpenTelemetry: spans on their way to a collector.

Rule: a collector that is slow or away costs spans, never time: the queue is bounded, and what does
not fit is counted.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from random import Random
from time import time_ns

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
)

from pmstream import __version__
from pmstream.errors import ConfigurationError
from pmstream.runtime.exporter import MISSING, with_path
from pmstream.runtime.spans import Attribute, Beginning, Kind, Span, Transaction, Value
from pmstream.runtime.traceparent import dump_context, load_context

MOST_QUEUED = 10_000
"""Spans that wait for the collector; what comes when there are so many is lost, and counted."""

MOST_TEXT = 1_000
"""Characters of a name or an error's text; what is longer ends there."""

_AT_ONCE = 512
_SCHEDULE_MS = 1_000
_KINDS = {
    Kind.CONSUMER: SpanKind.CONSUMER,
    Kind.PRODUCER: SpanKind.PRODUCER,
    Kind.INTERNAL: SpanKind.INTERNAL,
}


class Telemetry:
    """Takes spans to a collector (`spans.Spans`).

    Args:
        exporter: sends them.
        service: whose they are, unless OTEL_SERVICE_NAME says so.
        told: hears when they do not arrive, and when they do again.
        about: what else is told of the process.
    """

    def __init__(
        self,
        exporter: SpanExporter,
        service: str,
        told: Callable[[str], None] = lambda _text: None,
        about: Mapping[str, str] | None = None,
    ) -> None:
        self._sender = _Sender(exporter, told)
        self._queue = _Queue(self._sender)
        name = os.environ.get("OTEL_SERVICE_NAME") or service
        resource = Resource.create({**(about or {}), "service.name": name})
        self._resource = resource
        self._told = told

    def begin(self, how: Beginning) -> Span:
        """Begins a span; without a parent it begins a trace."""
        return _Span(how, self._resource, self._queue.on_end)

    def counts(self) -> dict[str, float]:
        """Spans so far: that arrived, that the collector refused, that found no room."""
        sender = self._sender
        return {"sent": sender.sent, "failed": sender.failed, "lost": self._queue.lost}

    def flush(self) -> None:
        """Sends what waits, now."""
        self._queue.force_flush()

    def close(self, seconds: float) -> None:
        """Sends what waits, for so long at most."""
        ending = threading.Thread(target=self._queue.shutdown, daemon=True)
        ending.start()
        ending.join(seconds)
        if ending.is_alive():
            self._told(f"spans that the collector did not take in {seconds:.1f} s are lost")
            self._sender.shutdown()  # tries no more


class _Span:
    """A span as the exporter reads it, made when it is handed over.

    Not by the SDK's tracer, whose samplers, limits and locks are not needed here and cost three
    times as much (`python -m bench.tracing`).
    """

    __slots__ = ("_attributes", "_began", "_close", "_ended", "_how", "_own", "_status", "context")

    def __init__(
        self, how: Beginning, resource: Resource, taken: Callable[[ReadableSpan], None]
    ) -> None:
        self._how, self._close = how, (resource, taken)
        self._attributes: dict[str, Value] = {}
        for attribute, value in how.attributes.items():
            self.set(attribute, value)
        self._began, self._ended, self._status = how.began or time_ns(), 0, _UNSET
        trace_id = _new_id(128) if how.parent is None else load_context(how.parent)[0]
        self._own = SpanContext(trace_id, _new_id(64), False, _SAMPLED)  # noqa: FBT003
        self.context = dump_context(trace_id, self._own.span_id)

    def set(self, attribute: Attribute, value: Value) -> None:
        self._attributes[attribute] = _plain(value) if isinstance(value, str) else value

    def fail(self, error_type: str, text: str) -> None:
        self._attributes[Attribute.ERROR_TYPE] = error_type
        self._status = Status(StatusCode.ERROR, _plain(text))

    def end(self) -> None:
        self._ended = time_ns()

    def close(self, transaction: Transaction | None = None) -> None:
        if transaction is not None:
            self._attributes[Attribute.TRANSACTION] = transaction
        how, (resource, taken) = self._how, self._close
        taken(
            ReadableSpan(
                how.name,
                context=self._own,
                parent=None if how.parent is None else _context(how.parent),
                resource=resource,
                attributes=self._attributes,
                links=[Link(_context(each)) for each in how.links],
                kind=_KINDS[how.kind],
                status=self._status,
                start_time=self._began,
                end_time=self._ended or time_ns(),
                instrumentation_scope=_SCOPE,
            )
        )


_UNSET = Status(StatusCode.UNSET)
_SCOPE = InstrumentationScope("pmstream", __version__)
_CHANCE = Random()
"""Our own: nobody else's seed is disturbed."""


def _new_id(bits: int) -> int:
    return _CHANCE.getrandbits(bits) or 1  # the W3C has no id of zeros


class _Sender(SpanExporter):
    """Counts what arrives; tells once that nothing does."""

    def __init__(self, exporter: SpanExporter, told: Callable[[str], None]) -> None:
        self._exporter, self._told, self._arrives = exporter, told, True
        self.taken = self.sent = self.failed = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            arrives = self._exporter.export(spans) is SpanExportResult.SUCCESS
        except Exception:  # noqa: BLE001 - whatever a collector makes of it, work goes on
            arrives = False
        self.taken += len(spans)
        self.sent += len(spans) if arrives else 0
        self.failed += 0 if arrives else len(spans)
        if arrives != self._arrives:
            self._arrives = arrives
            self._told(
                "spans reach the collector again"
                if arrives
                else "spans do not reach the collector: they are lost, and work goes on"
            )
        return SpanExportResult.SUCCESS if arrives else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Queue(BatchSpanProcessor):
    """Counts what it has no room for, which the library only logs."""

    def __init__(self, sender: _Sender) -> None:
        super().__init__(sender, MOST_QUEUED + _AT_ONCE, _SCHEDULE_MS, _AT_ONCE)
        self._sender, self._taken, self.lost = sender, 0, 0

    def on_end(self, span: ReadableSpan) -> None:
        if self._taken - self._sender.taken >= MOST_QUEUED:
            self.lost += 1
            return
        self._taken += 1
        super().on_end(span)


def _plain(text: str) -> str:
    """Text that can be written: one that cannot would cost its whole batch."""
    text = text[:MOST_TEXT]
    return text if text.isascii() else text.encode(errors="replace").decode()


def _context(context: bytes) -> SpanContext:
    trace_id, span_id = load_context(context)
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=_SAMPLED)


_SAMPLED = TraceFlags(TraceFlags.SAMPLED)


def otlp(endpoint: str) -> SpanExporter:
    """Sends spans by OTLP over HTTP, to where the OTEL_EXPORTER_OTLP_* variables say.

    Args:
        endpoint: base URL of the collector; "": see those variables.

    Raises:
        ConfigurationError: the exporter is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    except ImportError as error:
        raise ConfigurationError(MISSING) from error
    # It logs each batch that does not arrive; we tell once, and count.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
    return OTLPSpanExporter(with_path(endpoint)) if endpoint else OTLPSpanExporter()
