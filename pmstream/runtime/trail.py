"""The spans of a worker's open batch, and whether they count.

Rule: a span is handed over once its transaction is decided, and says how; a limit per second keeps
a flood of sampled events from slowing the worker.
"""

import time
from collections.abc import Callable, Iterable

from msgspec import Struct

from pmstream.runtime.log import TopicPartition
from pmstream.runtime.spans import (
    Attribute,
    Beginning,
    Span,
    Spans,
    Transaction,
    Value,
)
from pmstream.runtime.vitals import Values

MOST_LINKS = 128
"""Inputs that a commit's span links to; OpenTelemetry's own limit."""


class _Held(Struct):
    span: Span
    is_input: bool


class Trail:
    """Keeps spans until their batch is decided.

    Args:
        spans: takes them.
        per_second: so many may begin in a second; further events go untraced.
        links: an event that is worked on begins a trace of its own, linked to its producer's.
        clock: seconds, for the limit.

    Attributes:
        limited: events that were to be traced, and were not.
    """

    def __init__(
        self,
        spans: Spans,
        per_second: int,
        *,
        links: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spans, self.links = spans, links
        self._per_second, self._clock = per_second, clock
        self._left, self._filled_at = float(per_second), clock()
        self._held: dict[TopicPartition, list[_Held]] = {}
        self.limited = 0

    def allows(self) -> bool:
        """Whether one more event may be traced now."""
        now = self._clock()
        gained = (now - self._filled_at) * self._per_second
        self._left, self._filled_at = min(self._left + gained, self._per_second), now
        if self._left >= 1:
            return True
        self.limited += 1
        return False

    def begin(self, where: TopicPartition, how: Beginning, *, is_input: bool = False) -> Span:
        """Begins a span of that partition's part of the batch.

        Args:
            where: the partition that was read.
            how: see `Beginning`.
            is_input: the commit's span links to it.
        """
        span = self.tell(how)
        self._held.setdefault(where, []).append(_Held(span, is_input))
        return span

    def tell(self, how: Beginning) -> Span:
        """Begins a span of no batch."""
        self._left -= 1
        return self._spans.begin(how)

    # What becomes of them

    def mark(self, where: TopicPartition) -> int:
        """How many spans of that partition are held: what begins now is behind it."""
        return len(self._held.get(where, ()))

    def forget(self, where: TopicPartition, mark: int) -> None:
        """What began behind the mark tells nothing."""
        del self._held.get(where, [])[mark:]

    def drop(self, where: TopicPartition, mark: int) -> None:
        """What began behind the mark comes to no transaction."""
        held = self._held.get(where, [])
        for each in held[mark:]:
            each.span.close(Transaction.DROPPED)
        del held[mark:]

    def dropped(self, partitions: Iterable[TopicPartition]) -> None:
        """Those partitions are given up with all that is not committed."""
        for each in partitions:
            self.drop(each, 0)

    def settle(
        self,
        transaction: Transaction,
        places: Iterable[TopicPartition] = (),
        began: int | None = None,
        reason: object = "",
    ) -> None:
        """The batch is decided; what is no part of it is dropped.

        Args:
            transaction: how.
            places: the partitions that have a share in it.
            began: when its commit did, nanoseconds since the epoch; None: it did not.
            reason: why it does not count.
        """
        held = [each for place in places for each in self._held.pop(place, ())]
        self.dropped(list(self._held))
        self._held.clear()
        if held and began is not None:
            self._tell_commit(held, transaction, began, str(reason))
        for each in held:
            each.span.close(transaction)

    def _tell_commit(
        self, held: list[_Held], transaction: Transaction, began: int, reason: str
    ) -> None:
        inputs = [each.span.context for each in held if each.is_input]
        attributes = {Attribute.INPUTS: len(inputs)}
        commit = self._spans.begin(
            Beginning(name="commit", links=inputs[:MOST_LINKS], attributes=attributes, began=began)
        )
        if transaction is not Transaction.COMMITTED:
            commit.set(Attribute.REASON, reason)
            commit.fail(transaction, reason)
        commit.close(transaction)

    def values(self) -> Values:
        """For the metric of that name."""
        return {"spans_total": dict(self._spans.counts()), "traces_limited_total": self.limited}


def place(topic: str, partition: int, offset: int) -> dict[Attribute, Value]:
    """What a consumer's span tells of its record."""
    return {
        Attribute.SYSTEM: "kafka",
        Attribute.OPERATION: "process",
        Attribute.TOPIC: topic,
        Attribute.PARTITION: str(partition),
        Attribute.OFFSET: offset,
    }
