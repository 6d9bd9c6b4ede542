"""Traces routes: a span for each sampled event that a router sends on.

Rule: what is not sampled, or concerns nobody, gets none.
"""

from time import time_ns

from msgspec.structs import replace

from pmstream.core.engine import Halt
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.spans import Attribute, Kind, Span, Transaction
from pmstream.runtime.traceparent import carried, next_context, sampled
from pmstream.runtime.trail import Trail, place


class Route:
    """A traced event that is being routed."""

    def __init__(self, trail: Trail, span: Span) -> None:
        self._trail, self._span = trail, span

    def end(self, record: Record, found: object) -> Record:
        """It is known where the record goes.

        Returns:
            The record with the context that goes on from here.
        """
        span = self._span
        if found is None:
            return record  # it concerns nobody
        if isinstance(found, Halt):
            span.fail("Halt", found.told)
            self._trail.tell([span], Transaction.DROPPED)
            return record
        span.attributes[Attribute.OUTCOME] = "dead letter" if isinstance(found, Out) else "routed"
        span.end()
        self._trail.keep(TopicPartition(record.topic, record.partition), [span])
        return replace(record, headers=carried(record.headers, span.context, goes_on=True))


class Routes:
    """Makes a span of each traced event that a router sends on.

    Args:
        trail: of the worker.
        process_manager: its name.
    """

    def __init__(self, trail: Trail, process_manager: str) -> None:
        self._trail, self._manager = trail, process_manager

    def begin(self, record: Record) -> Route | None:
        """Begins to route a record; None is: it is not traced."""
        context = sampled(record.headers)
        if context is None or not self._trail.allows():
            return None
        known = place(record.topic, record.partition, record.offset)
        known[Attribute.PROCESS_MANAGER] = self._manager
        span = Span(
            name=f"route {record.topic}",
            kind=Kind.CONSUMER,
            context=next_context(context),
            parent=context,
            began=time_ns(),
            attributes=known,
            is_input=True,
        )
        return Route(self._trail, span)
