"""Spans: what is told of a traced event, by which names, and the port to who takes them.

Rule: no name of an attribute stands anywhere else. Those of messaging are OpenTelemetry's semantic
conventions; docs/tracing.md is this table.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

Value = str | int | bool


class Kind(StrEnum):
    """Which side of a message a span is."""

    CONSUMER = "consumer"
    PRODUCER = "producer"
    INTERNAL = "internal"


class Attribute(StrEnum):
    """Every attribute of a span."""

    SYSTEM = "messaging.system"
    OPERATION = "messaging.operation.type"
    TOPIC = "messaging.destination.name"
    PARTITION = "messaging.destination.partition.id"
    OFFSET = "messaging.kafka.offset"
    MESSAGE_ID = "messaging.message.id"
    CONVERSATION = "messaging.message.conversation_id"
    ERROR_TYPE = "error.type"
    PROCESS_MANAGER = "pmstream.process_manager"
    PROCESS_UUID = "pmstream.process_uuid"
    INPUT = "pmstream.input"
    ROUTE = "pmstream.route"
    OUTCOME = "pmstream.outcome"
    ANSWER = "pmstream.answer"
    ATTEMPT = "pmstream.attempt"
    REPLAYED = "pmstream.replayed"
    TIMER = "pmstream.timer"
    ORDER = "pmstream.order"
    TRANSACTION = "pmstream.transaction"
    REASON = "pmstream.reason"
    INPUTS = "pmstream.traced_inputs"


MEANINGS: Mapping[Attribute, str] = {
    Attribute.SYSTEM: "kafka.",
    Attribute.OPERATION: "process or send; absent where no message is at hand.",
    Attribute.TOPIC: "Topic of the event or command.",
    Attribute.PARTITION: "Partition of the event.",
    Attribute.OFFSET: "Offset of the event.",
    Attribute.MESSAGE_ID: "Id of the command.",
    Attribute.CONVERSATION: "The process UUID.",
    Attribute.ERROR_TYPE: "Class of what was raised.",
    Attribute.PROCESS_MANAGER: "Name of the process manager.",
    Attribute.PROCESS_UUID: "The process: search by it.",
    Attribute.INPUT: "What was worked on: event, backlog, retry, timer, start, reply or order.",
    Attribute.ROUTE: "How interested() routed the event.",
    Attribute.OUTCOME: "What became of it: handled, ended, retrying, parked and so on.",
    Attribute.ANSWER: "What error() answered, or raised.",
    Attribute.ATTEMPT: "1 for the first try.",
    Attribute.REPLAYED: "True if a replay routed the event; absent otherwise.",
    Attribute.TIMER: "Name of the timer that fired.",
    Attribute.ORDER: "What an operator ordered: release, edit, deliver and so on.",
    Attribute.TRANSACTION: "Whether it counts: committed, aborted, unknown or dropped.",
    Attribute.REASON: "Of a commit that did not count: why.",
    Attribute.INPUTS: "Of a commit: how many of its inputs are traced.",
}


class Transaction(StrEnum):
    """Whether what a span tells counts."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    """Nothing of it counts, and it is done again."""
    UNKNOWN = "unknown"
    """It may count; what does not is done again."""
    DROPPED = "dropped"
    """It never came to a transaction: the partition moved, or the worker ended."""


class Span(Protocol):
    """A span that has begun.

    Attributes:
        context: what others continue from, as in `traceparent`.
    """

    context: bytes

    def set(self, attribute: Attribute, value: Value) -> None:
        """Tells one more thing."""

    def fail(self, error_type: str, text: str) -> None:
        """It went wrong, and how."""

    def end(self) -> None:
        """What it measures ends here; whether that counts is seen later."""

    def close(self, transaction: Transaction | None = None) -> None:
        """Hands it over; ends it if nothing has. None: it is of no transaction."""


class Beginning(Struct, frozen=True, kw_only=True):
    """How a span begins.

    Attributes:
        name: what happens.
        kind: see `Kind`.
        parent: context of the span it belongs to; None begins a new trace.
        links: contexts of what it comes from otherwise.
        attributes: what is known by now.
        began: nanoseconds since the epoch; None is now.
    """

    name: str
    kind: Kind = Kind.INTERNAL
    parent: bytes | None = None
    links: Sequence[bytes] = ()
    attributes: Mapping[Attribute, Value] = {}
    began: int | None = None


class Spans(Protocol):
    """Who takes spans."""

    def begin(self, how: Beginning) -> Span:
        """Begins one."""

    def counts(self) -> Mapping[str, float]:
        """Spans by what became of them."""
