"""Dead letters once more: decoded and routed by today's code, then ordered to be taken in.

Rule: the orders and the letter's mark are one transaction, so a letter is redriven once.
"""

import re
from collections.abc import Sequence
from uuid import uuid4

import msgspec
from msgspec import Struct

from pmstream.app import App
from pmstream.core.engine import Halt
from pmstream.core.messages import Routed
from pmstream.core.orders import Order, Verb
from pmstream.core.process import bind
from pmstream.operate.dead_letters import REDRIVEN, Letter, mark, named, own_headers, sole
from pmstream.operate.orders import Given, partitions
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import Out
from pmstream.runtime.generations import live
from pmstream.runtime.intake import Accepted, Intake, Rules
from pmstream.runtime.log import Log, Record, TopicPartition
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import order_record

_PLACE = re.compile(r"(.+)-(\d{1,9})-(\d{1,18})")


class Planned(Struct, frozen=True):
    """A letter, and the orders that deliver it; or why it cannot be."""

    letter: Letter
    orders: tuple[Order, ...] = ()
    refused: str = ""


class _Run:
    """A partition in which everything could be decoded so far."""

    run = 0


class Redriver:
    """Redrives the dead letters of a process manager.

    Args:
        log: the cluster.
        app: decodes and routes.
        process_manager: its name.
        who, why: for the audit.
        now: milliseconds since the epoch.

    Raises:
        ConfigurationError: there is no such process manager; the schemas are wrong.
    """

    def __init__(
        self, log: Log, app: App, process_manager: str, who: str, why: str, now: int
    ) -> None:
        manager = app.manager(process_manager)
        self._log, self._app, self._keyed = log, app, manager.keyed
        self._names = live(log, app.name, process_manager)
        self._who, self._why, self._now = who, why, now
        self._rules = Rules(
            names=self._names,
            callbacks=bind(manager),
            guard=None,
            codec=Codec(app),
            undecodable=manager.undecodable,
            unknown_schema=manager.unknown_schema,
        )

    def plan(self, ids: Sequence[str]) -> list[Planned]:
        """What would be ordered; nothing is. Raises as `dead_letters.named`."""
        return [self._plan(each) for each in named(self._log, self._names, ids)]

    def redrive(self, ids: Sequence[str]) -> tuple[list[Planned], list[Given]]:
        """Orders what can be, and marks those letters.

        Returns:
            What became of each letter, and the orders that were given.

        Raises:
            ConfigurationError: see `dead_letters.named`.
            Again, MustAbort, OutcomeUnknown, Refused, Unavailable: the cluster.
        """
        count = partitions(self._log, self._names)
        offsets: dict[str, int] = {}
        with sole(self._log, self._names) as producer:
            planned = self.plan(ids)
            orders = [order for each in planned for order in each.orders]
            for order in orders:
                number = murmur2_partition(order.process_uuid.encode(), count)
                out = order_record(self._names.orders, order, number)

                def delivered(offset: int, id: str = order.id) -> None:
                    offsets[id] = offset

                producer.produce(
                    out.topic, out.value, out.key, out.headers, out.partition, delivered
                )
            for each in planned:
                if each.orders:
                    mark(producer, each.letter, REDRIVEN, self._who, self._why, self._now)
        return planned, [self._given(each, offsets[each.id], count) for each in orders]

    def _given(self, order: Order, offset: int, count: int) -> Given:
        number = murmur2_partition(order.process_uuid.encode(), count)
        return Given(order, TopicPartition(self._names.orders, number), offset)

    def _plan(self, letter: Letter) -> Planned:
        if letter.mark:
            return Planned(letter, refused=f"it is done with: {letter.mark}")
        place = _PLACE.fullmatch(letter.source)
        if place is None or place[1] not in self._app.events:
            why = f"{letter.source or 'its source'} is in no source topic of {self._app.name}"
            return Planned(letter, refused=why)
        record = Record(
            topic=place[1],
            partition=int(place[2]),
            offset=int(place[3]),
            timestamp=letter.time,
            key=letter.record.key,
            value=letter.record.value,
            headers=tuple(own_headers(letter)),
        )
        found = Intake(self._rules).take(record, _Run(), self._now)
        if isinstance(found, Accepted):
            return self._ordered(letter, record, found)
        return Planned(letter, refused=_why_not(found))

    def _ordered(self, letter: Letter, record: Record, found: Accepted) -> Planned:
        routing, ids = found.routing, found.routing.ids
        if self._keyed is not None and [each.encode() for each in ids] != [record.key]:
            return Planned(
                letter, refused="in direct mode an event concerns the process of its key"
            )
        assert routing.route is not None, "an event that goes nowhere"
        assert record.value is not None, "a tombstone that goes somewhere"
        events = [
            Routed(
                process_uuid=uuid,
                route=routing.route,
                value=record.value,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                index=index,
                timestamp=record.timestamp,
                headers=record.headers,
                hold=routing.hold,
            )
            for index, uuid in enumerate(ids)
        ]
        return Planned(letter, tuple(self._order(each) for each in events))

    def _order(self, event: Routed) -> Order:
        return Order(
            id=str(uuid4()),
            verb=Verb.DELIVER,
            process_uuid=event.process_uuid,
            arguments={"event": msgspec.to_builtins(event)},
            who=self._who,
            why=self._why,
            time=self._now,
        )


def _why_not(found: Out | Halt | None) -> str:
    if found is None:
        return "by today's code it concerns no process: drop it"
    if isinstance(found, Halt):
        return found.reason
    error = dict(found.headers).get("pm-error") or b""
    return error.decode(errors="replace")
