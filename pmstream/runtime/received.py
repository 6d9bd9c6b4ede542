"""Traces what a service receives, so that its answers go on in the trace of the command.

Rule: one span a record, whose context the record carries from here on.
"""

from time import time_ns

from msgspec.structs import replace

from pmstream.core.messages import PROCESS_UUID
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.spans import Attribute, Kind, Span, Transaction
from pmstream.runtime.traceparent import carried, next_context, sampled
from pmstream.runtime.trail import Trail, place


class Received:
    """Traces what a service receives: one span a record, whose context its answers carry.

    Args:
        trail: of the service.
    """

    def __init__(self, trail: Trail) -> None:
        self._trail, self._rested_at = trail, 0
        self._places: set[TopicPartition] = set()
        self._at_hand: Span | None = None

    def record(self, record: Record) -> Record:
        """A record is at hand, the one before it is done.

        Returns:
            The record; if it is traced, with the context that goes on from it.
        """
        self.rest()
        context = sampled(record.headers)
        if context is None or not self._trail.allows():
            return record
        where = TopicPartition(record.topic, record.partition)
        uuid = (dict(record.headers).get(PROCESS_UUID) or b"").decode(errors="replace")
        span = Span(
            name=f"process {record.topic}",
            kind=Kind.CONSUMER,
            context=next_context(context),
            parent=context,
            began=time_ns(),
            attributes={
                **place(record.topic, record.partition, record.offset),
                Attribute.PROCESS_UUID: uuid,
                Attribute.CONVERSATION: uuid,
            },
            is_input=True,
        )
        self._trail.keep(where, [span])
        self._at_hand = span
        self._places.add(where)
        headers = carried(record.headers, span.context, goes_on=True)
        return replace(record, headers=headers)

    def rest(self) -> None:
        """No record is at hand: what they do is decided next."""
        self._rested_at = time_ns()
        if self._at_hand is not None:
            self._at_hand.end()
            self._at_hand = None

    def decided(self, reason: str = "", *, counts: bool | None) -> None:
        """Their transaction is over.

        Args:
            reason: why it does not count, or is not known to.
            counts: None: nobody knows; what does not count is done again.
        """
        self._trail.settle(_DECIDED[counts], self._places, self._rested_at, reason)
        self._places = set()


_DECIDED = {True: Transaction.COMMITTED, False: Transaction.ABORTED, None: Transaction.UNKNOWN}
