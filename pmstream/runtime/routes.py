"""Traces routes: a span for each sampled event that a router sends on.

Rule: what is not sampled, or concerns nobody, gets none.
"""

from msgspec.structs import replace

from pmstream.core.engine import Halt
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.spans import Attribute, Beginning, Kind, Span
from pmstream.runtime.traceparent import carried, sampled
from pmstream.runtime.trail import Trail, place


class Route:
    """A traced event that is being routed."""

    def __init__(self, trail: Trail, where: TopicPartition, mark: int, span: Span) -> None:
        self._trail, self._where, self._mark, self._span = trail, where, mark, span

    def end(self, record: Record, found: object) -> Record:
        """It is known where the record goes.

        Returns:
            The record with the context that goes on from here.
        """
        span = self._span
        if found is None:
            self._trail.forget(self._where, self._mark)  # it concerns nobody
            return record
        if isinstance(found, Halt):
            span.fail("Halt", found.told)
            self._trail.drop(self._where, self._mark)
            return record
        outcome = "dead letter" if isinstance(found, Out) else "routed"
        span.set(Attribute.OUTCOME, outcome)
        span.end()
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
        where = TopicPartition(record.topic, record.partition)
        mark = self._trail.mark(where)
        how = Beginning(
            name=f"route {record.topic}",
            kind=Kind.CONSUMER,
            parent=context,
            attributes={
                **place(record.topic, record.partition, record.offset),
                Attribute.PROCESS_MANAGER: self._manager,
            },
        )
        return Route(self._trail, where, mark, self._trail.begin(where, how, is_input=True))
