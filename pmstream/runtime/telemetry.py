"""The door to OpenTelemetry: spans on their way to a collector.

Rule: a collector that is slow or away costs spans, never time: the queue is bounded, and what does
not fit is counted.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
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
from pmstream.runtime.otlp import Encoder, Parcel, plain
from pmstream.runtime.spans import Attribute, Kind, Span, Transaction, Value
from pmstream.runtime.traceparent import load_context

MOST_QUEUED = 10_000
"""Spans that wait for the collector; what comes when there are so many is lost, and counted."""

_AT_ONCE = 512
"""Spans of one request, about."""

_TOGETHER, _MOST_PARCELS = 64, 64
"""Spans of one parcel; parcels that wait no longer."""

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
        name = os.environ.get("OTEL_SERVICE_NAME") or service
        resource = Resource.create({**(about or {}), "service.name": name})
        self._sender = _Sender(exporter, resource, told)
        self._queue = _Queue(self._sender)
        self._told = told

    def take(self, spans: Sequence[Span], transaction: Transaction | None = None) -> None:
        """See `Spans`."""
        self._queue.put(spans, transaction)

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


class _Item(ReadableSpan):
    """What the SDK's queue carries: many spans at once; it asks only whether they are sampled."""

    def __init__(self, parcel: Parcel) -> None:
        super().__init__("parcel", _ANY)
        self.parcel = parcel


class _Queue(BatchSpanProcessor):
    """Counts what it has no room for, which the library only logs."""

    def __init__(self, sender: "_Sender") -> None:
        super().__init__(sender, MOST_QUEUED + _MOST_PARCELS, _SCHEDULE_MS, _MOST_PARCELS)
        self._sender, self._taken, self.lost = sender, 0, 0

    def put(self, spans: Sequence[Span], transaction: Transaction | None) -> None:
        """Takes as many as there is room for."""
        room = max(MOST_QUEUED - (self._taken - self._sender.taken), 0)
        if len(spans) > room:
            self.lost += len(spans) - room
            spans = spans[:room]
        self._taken += len(spans)
        now = time_ns()
        for at in range(0, len(spans), _TOGETHER):
            self.on_end(_Item(Parcel(spans[at : at + _TOGETHER], transaction, now)))


class _Sender(SpanExporter):
    """Counts what arrives; tells once that nothing does."""

    def __init__(
        self, exporter: SpanExporter, resource: Resource, told: Callable[[str], None]
    ) -> None:
        self._exporter, self._told, self._arrives = exporter, told, True
        self._ways = [*_quick(exporter, resource), _official(exporter, resource)]
        self.taken = self.sent = self.failed = 0
        self._is_over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result, parcels, count = SpanExportResult.SUCCESS, list[Parcel](), 0
        for each in spans:
            assert isinstance(each, _Item), "nobody else puts spans in"
            parcels.append(each.parcel)
            count += len(each.parcel.spans)
            if count >= _AT_ONCE or each is spans[-1]:
                if not self._sent(parcels, count):
                    result = SpanExportResult.FAILURE
                parcels, count = [], 0
        return result

    def _sent(self, parcels: Sequence[Parcel], count: int) -> bool:
        arrives = not self._is_over and self._arrive(parcels)
        self.taken += count
        self.sent += count if arrives else 0
        self.failed += 0 if arrives else count
        if arrives != self._arrives:
            self._arrives = arrives
            self._told(
                "spans reach the collector again"
                if arrives
                else "spans do not reach the collector: they are lost, and work goes on"
            )
        return arrives

    def _arrive(self, parcels: Sequence[Parcel]) -> bool:
        while True:
            try:
                return self._ways[0](parcels)
            except Exception:  # noqa: BLE001 - whatever a collector makes of it, work goes on
                if len(self._ways) == 1:
                    return False
                del self._ways[0]  # the exporter is not as we know it: from now on it encodes

    def shutdown(self) -> None:
        self._is_over = True
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


Deliver = Callable[[Sequence[Parcel]], bool]
"""Sends spans; whether they arrived."""


def _official(exporter: SpanExporter, resource: Resource) -> Deliver:
    """As the SDK's own spans, to any exporter."""

    def deliver(parcels: Sequence[Parcel]) -> bool:
        spans = [readable(each, of, resource) for of in parcels for each in of.spans]
        return exporter.export(spans) is SpanExportResult.SUCCESS

    return deliver


def _quick(exporter: SpanExporter, resource: Resource) -> list[Deliver]:
    """As bytes, by the client that the exporter has made of its variables.

    It is no public name (ADR 16): an exporter without one encodes itself.
    """
    client = getattr(exporter, "_client", None)
    send = getattr(client, "export", None)
    if not callable(send):
        return []
    encoder = encoder_of(resource)

    def deliver(parcels: Sequence[Parcel]) -> bool:
        return bool(send(encoder.request(parcels)).success)

    return [deliver]


def encoder_of(resource: Resource) -> Encoder:
    """Writes spans of this resource; what stands around them is the official encoder's."""
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    nothing = ReadableSpan("", _ANY, resource=resource, instrumentation_scope=_SCOPE)
    [of_resource] = encode_spans([nothing]).resource_spans
    [of_scope] = of_resource.scope_spans
    of_scope.ClearField("spans")
    scope = of_scope.SerializeToString()
    of_resource.ClearField("scope_spans")
    return Encoder(of_resource.SerializeToString(), scope)


def readable(span: Span, parcel: Parcel, resource: Resource) -> ReadableSpan:
    """A span as exporters read it.

    Not by the SDK's tracer, whose samplers, limits and locks are not needed here and cost three
    times as much.
    """
    told: dict[str, Value] = {
        name: plain(each) if isinstance(each, str) else each
        for name, each in span.attributes.items()
    }
    if parcel.transaction is not None:
        told[Attribute.TRANSACTION] = parcel.transaction
    error = span.error
    return ReadableSpan(
        plain(span.name),
        context=_context(span.context, is_remote=False),
        parent=None if span.parent is None else _context(span.parent),
        resource=resource,
        attributes=told,
        links=[Link(_context(each)) for each in span.links],
        kind=_KINDS[span.kind],
        status=_UNSET if error is None else Status(StatusCode.ERROR, plain(error)),
        start_time=span.began,
        end_time=parcel.ended(span),
        instrumentation_scope=_SCOPE,
    )


_UNSET = Status(StatusCode.UNSET)
_SCOPE = InstrumentationScope("pmstream", __version__)
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_ANY = SpanContext(1, 1, is_remote=False, trace_flags=_SAMPLED)


def _context(context: bytes, *, is_remote: bool = True) -> SpanContext:
    trace_id, span_id = load_context(context)
    return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=_SAMPLED)


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
