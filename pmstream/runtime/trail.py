"""The spans of a worker's open batch, and whether they count.

Rule: a span is handed over once its transaction is decided, and says how; a limit per second keeps
a flood of sampled events from slowing the worker.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from pmstream.runtime.log import TopicPartition
from pmstream.runtime.spans import Attribute, Span, Spans, Transaction, Value
from pmstream.runtime.traceparent import next_context
from pmstream.runtime.vitals import Values

MOST_LINKS = 128
"""Inputs that a commit's span links to; OpenTelemetry's own limit."""


class Trail:
    """Keeps spans until their batch is decided.

    Args:
        spans: takes them.
        per_second: so many may be told in a second; further events go untraced.
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
        self._held: dict[TopicPartition, list[Span]] = {}
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

    def keep(self, where: TopicPartition, spans: Sequence[Span]) -> None:
        """Keeps spans of that partition's part of the batch until it is decided.

        Args:
            where: the partition that was read.
            spans: of one input.
        """
        self._left -= len(spans)
        held = self._held.get(where)
        if held is None:
            self._held[where] = list(spans)
        else:
            held += spans

    def tell(self, spans: Sequence[Span], transaction: Transaction | None = None) -> None:
        """Hands over spans of no batch, or that come to no transaction."""
        self._left -= len(spans)
        self._spans.take(spans, transaction)

    def held(self, where: TopicPartition) -> int:
        """How many spans of that partition wait for their transaction."""
        return len(self._held.get(where, ()))

    # What becomes of them

    def dropped(self, partitions: Iterable[TopicPartition]) -> None:
        """Those partitions are given up with all that is not committed."""
        for each in partitions:
            held = self._held.pop(each, None)
            if held:
                self._spans.take(held, Transaction.DROPPED)

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
        if not self._held:
            return
        held = [each for place in places for each in self._held.pop(place, ())]
        self.dropped(list(self._held))
        if held and began is not None:
            held.append(_commit(held, transaction, began, str(reason)))
        if held:
            self._spans.take(held, transaction)

    def values(self) -> Values:
        """For the metric of that name."""
        return {"spans_total": dict(self._spans.counts()), "traces_limited_total": self.limited}


def _commit(held: list[Span], transaction: Transaction, began: int, reason: str) -> Span:
    inputs = [each.context for each in held if each.is_input]
    commit = Span(
        name="commit",
        context=next_context(None),
        began=began,
        links=inputs[:MOST_LINKS],
        attributes={Attribute.INPUTS: len(inputs)},
    )
    if transaction is not Transaction.COMMITTED:
        commit.attributes[Attribute.REASON] = reason
        commit.fail(transaction, reason)
    return commit


# Taken once, because reading an Enum's attribute costs 0.2 µs (Python 3.11).
_SYSTEM, _OPERATION, _TOPIC = Attribute.SYSTEM, Attribute.OPERATION, Attribute.TOPIC
_PARTITION, _OFFSET = Attribute.PARTITION, Attribute.OFFSET


def place(topic: str, partition: int, offset: int) -> dict[Attribute, Value]:
    """What a consumer's span tells of its record."""
    return {
        _SYSTEM: "kafka",
        _OPERATION: "process",
        _TOPIC: topic,
        _PARTITION: str(partition),
        _OFFSET: offset,
    }
