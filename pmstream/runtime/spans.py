"""Spans: what is told of a traced event, by which names, and the port to who takes them.

Rule: no name of an attribute stands anywhere else. Those of messaging are OpenTelemetry's semantic
conventions; docs/tracing.md is this table.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from time import time_ns
from typing import Protocol

from msgspec import Struct

Value = str | int | bool

MOST_TEXT = 1_000
"""Characters of a name or an error's text; what is longer ends there."""


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


class Span(Struct, kw_only=True, gc=False):
    """A span: of one step of the work, and its children's parent.

    Attributes:
        name: what happens.
        context: what others continue from, as in `traceparent`.
        began, ended: nanoseconds since the epoch; `ended` 0: when it is handed over.
        kind: see `Kind`.
        parent: context of the span it belongs to; None: it began a new trace.
        links: contexts of what it comes from otherwise.
        attributes: what it tells, besides its transaction.
        is_input: whether the span of its commit links to it.
        error: text of what went wrong; None: nothing did.
    """

    name: str
    context: bytes
    began: int
    kind: Kind = Kind.INTERNAL
    parent: bytes | None = None
    links: Sequence[bytes] = ()
    attributes: dict[Attribute, Value] = {}
    is_input: bool = False
    ended: int = 0
    error: str | None = None

    def fail(self, error_type: str, text: str) -> None:
        """It went wrong, and how."""
        self.attributes[Attribute.ERROR_TYPE] = error_type
        self.error = text[:MOST_TEXT]

    def end(self) -> None:
        """What it measures ends here; whether that counts is seen later."""
        self.ended = time_ns()


class Spans(Protocol):
    """Who takes spans."""

    def take(self, spans: Sequence[Span], transaction: Transaction | None = None) -> None:
        """Takes spans that are told; nobody changes them any more.

        Args:
            spans: of one transaction; what has not ended ends here.
            transaction: whether they count; None: they are of none.
        """

    def counts(self) -> Mapping[str, float]:
        """Spans by what became of them."""
