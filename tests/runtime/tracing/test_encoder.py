"""Our bytes of OTLP against the official encoder's, and when which of them is used."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from pmstream.runtime import telemetry as door
from pmstream.runtime.otlp import Parcel
from pmstream.runtime.spans import Attribute, Kind, Span, Transaction
from pmstream.runtime.telemetry import Telemetry, encoder_of, otlp, readable
from pmstream.runtime.traceparent import dump_context
from tests.runtime.tracing.otlp import receiving
from tests.runtime.tracing.test_collector import span

LONG = st.integers(-(1 << 63), (1 << 63) - 1)
TIMES = st.integers(0, (1 << 64) - 1)
TEXTS = st.text(st.characters(exclude_categories=()), max_size=200) | st.builds(
    lambda text, times: text * times, st.text(max_size=3), st.integers(0, 2_000)
)
CONTEXTS = st.builds(dump_context, st.integers(1, (1 << 128) - 1), st.integers(1, (1 << 64) - 1))
OF_SPANS = [each for each in Attribute if each is not Attribute.TRANSACTION]
SPANS = st.builds(
    Span,
    name=TEXTS,
    context=CONTEXTS,
    began=TIMES,
    ended=TIMES,
    kind=st.sampled_from(Kind),
    parent=st.none() | CONTEXTS,
    links=st.lists(CONTEXTS, max_size=130),
    attributes=st.dictionaries(st.sampled_from(OF_SPANS), TEXTS | LONG | st.booleans()),
    error=st.none() | TEXTS,
)
PARCELS = st.lists(
    st.builds(
        Parcel,
        spans=st.lists(SPANS, max_size=3),
        transaction=st.none() | st.sampled_from(Transaction),
        taken_at=TIMES,
    ),
    max_size=3,
)


@given(PARCELS, st.dictionaries(st.text(min_size=1), st.text() | st.booleans() | LONG, max_size=3))
def test_a_collector_reads_what_the_official_encoder_writes(
    parcels: list[Parcel], about: dict[str, Any]
) -> None:
    resource = Resource(about)

    written = encoder_of(resource).request(parcels)

    official = encode_spans([readable(each, of, resource) for of in parcels for each in of.spans])
    found = ExportTraceServiceRequest.FromString(written)
    if official.resource_spans:
        assert found == official
    else:
        assert not found.resource_spans[0].scope_spans[0].spans


@pytest.mark.parametrize("size", [0, 1, 127, 128, 999, 1_000, 1_001, 20_000])
@pytest.mark.parametrize("letter", ["a", "\u00e9", "\U0001f600", "\ud800"])
def test_texts_of_every_length(size: int, letter: str) -> None:
    told = span(letter * size, attributes={Attribute.REASON: letter * size})
    told.fail(letter * size, letter * size)
    parcel, resource = Parcel([told], None, 2), Resource({})

    written = encoder_of(resource).request([parcel])

    official = encode_spans([readable(told, parcel, resource)])
    assert ExportTraceServiceRequest.FromString(written) == official


def test_the_exporter_of_today_sends_our_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise AssertionError("the official encoder is not asked")

    monkeypatch.setattr(door, "_SCHEDULE_MS", 60_000)  # no strike while the queue is filled
    with receiving() as receiver:
        telemetry = Telemetry(otlp(receiver.endpoint), "bank")
        monkeypatch.setattr(trace_exporter, "encode_spans", refuse)
        telemetry.take([span(f"s{n}") for n in range(1_500)])
        telemetry.close(60)

    assert [each.name for each in receiver.spans] == [f"s{n}" for n in range(1_500)]
    assert telemetry.counts() == {"sent": 1_500, "failed": 0, "lost": 0}
    assert len(receiver.requests) == 3


class Other(SpanExporter):
    """An exporter that is not as today's: what it has is another thing."""

    def __init__(self, client: object) -> None:
        self._client, self.names = client, list[str]()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [each.name for each in spans]
        return SpanExportResult.SUCCESS


class Renamed:
    """A client without what we call."""


class Changed:
    """A client that takes something else."""

    def export(self) -> None:
        raise AssertionError("never called so")


class Silent:
    """A client that answers something else."""

    def export(self, _: bytes) -> None:
        return


@pytest.mark.parametrize("client", [None, Renamed(), Changed(), Silent()])
def test_an_exporter_that_is_not_as_we_know_it_encodes_itself(client: object) -> None:
    exporter = Other(client)
    telemetry = Telemetry(exporter, "bank")
    for name in ("a", "b"):
        telemetry.take([span(name)])
        telemetry.flush()

    telemetry.close(10)
    assert exporter.names == ["a", "b"]
    assert telemetry.counts() == {"sent": 2, "failed": 0, "lost": 0}
