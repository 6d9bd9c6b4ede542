"""What a collector was told, and by whom: spans as they came over OTLP."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from pmstream.runtime.spans import Attribute, Transaction
from tests.runtime.tracing.otlp import Receiver


class Told(Struct, frozen=True):
    """A span as it arrived."""

    span: Span
    service: str
    instance: str
    """Worker and role."""
    attributes: dict[str, Any]

    @property
    def name(self) -> str:
        return self.span.name

    @property
    def id(self) -> str:
        return self.span.span_id.hex()

    @property
    def trace(self) -> str:
        return self.span.trace_id.hex()

    @property
    def parent(self) -> str:
        return self.span.parent_span_id.hex()

    @property
    def links(self) -> list[str]:
        return [each.span_id.hex() for each in self.span.links]

    def get(self, attribute: Attribute) -> Any:
        """What it says; None when it does not."""
        return self.attributes.get(attribute)

    @property
    def counts(self) -> bool:
        """Whether its transaction is committed, if it is of one."""
        return self.get(Attribute.TRANSACTION) in (Transaction.COMMITTED, None)


class Spans:
    """All that a collector has, to be asked."""

    def __init__(self, receiver: Receiver) -> None:
        self.all = list(_told(receiver))
        self.by_id = {each.id: each for each in self.all}
        self.of_trace: dict[str, list[Told]] = defaultdict(list)
        for each in self.all:
            self.of_trace[each.trace].append(each)

    def named(self, name: str, uuid: str = "") -> list[Told]:
        """Those of a name (of a process) that count, the eldest first."""
        found = [
            each
            for each in self.all
            if each.counts and each.name == name and uuid in ("", each.get(Attribute.PROCESS_UUID))
        ]
        return sorted(found, key=lambda each: each.span.start_time_unix_nano)

    def of(self, uuid: str, **wanted: str) -> list[Told]:
        """Those inputs of a process that say so and count, the eldest first."""
        attributes = {Attribute[name.upper()]: value for name, value in wanted.items()}
        found = [
            each
            for each in self.all
            if each.counts
            and each.get(Attribute.PROCESS_UUID) == uuid
            and each.get(Attribute.PROCESS_MANAGER)
            and all(each.get(name) == value for name, value in attributes.items())
        ]
        return sorted(found, key=lambda each: each.span.start_time_unix_nano)

    def way(self, span: Told) -> list[Told]:
        """From the first span of its trace to this one."""
        found = [span]
        while found[0].parent:
            found.insert(0, self.by_id[found[0].parent])
        return found


def _told(receiver: Receiver) -> Iterable[Told]:
    for request in list(receiver.requests):
        for of_resource in request.resource_spans:
            about = _plain(of_resource.resource.attributes)
            service, instance = about["service.name"], about.get("service.instance.id", "")
            for scope in of_resource.scope_spans:
                for span in scope.spans:
                    yield Told(span, service, instance, _plain(span.attributes))


def _plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    return {
        each.key: getattr(each.value, each.value.WhichOneof("value") or "string_value")
        for each in attributes
    }
