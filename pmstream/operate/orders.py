"""Gives operators' orders, waits for what becomes of them, and reads the audit.

Rule: an order is written once and obeyed by the owner; who waits for its outcome only looks.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import uuid4

from msgspec import Struct

from pmstream.app import Names
from pmstream.core.orders import Order, Verb
from pmstream.core.routing import check_uuid
from pmstream.errors import ConfigurationError, InvalidRoute, Unreachable
from pmstream.operate.bounds import bounds, own_topic
from pmstream.operate.reading import read_once
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.log_errors import Again
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import MAX_TEXT, OrderOutcome, order_record, read_outcome

WRITE_SECONDS = 30.0
"""Until orders that no broker takes are an error."""

_LOOK_SECONDS = 0.1


class Verdict(StrEnum):
    """What is known of an order."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNANSWERED = "no answer yet"
    """It stays valid: its outcome will stand in the audit."""
    NOT_GIVEN = "not given"
    """One before it had no answer in time."""


class Answered(Struct, frozen=True):
    """An order and what became of it; `outcome` None: nothing yet."""

    order: Order
    verdict: Verdict
    outcome: OrderOutcome | None = None


class Given(Struct, frozen=True):
    """An order that was written, and where: partition and offset."""

    order: Order
    where: TopicPartition
    offset: int


def make(
    verb: Verb,
    process_uuids: Iterable[str],
    arguments: Mapping[str, Any],
    who: str,
    why: str,
    now: int,
) -> list[Order]:
    """One order for each process.

    Args:
        verb: what is ordered.
        process_uuids: of the instances.
        arguments: see `Verb`.
        who: orders it.
        why: for the audit.
        now: milliseconds since the epoch.

    Raises:
        ConfigurationError: an id names no process, or a text is too long.
    """
    if max(len(who), len(why)) > MAX_TEXT:
        raise ConfigurationError(f"who and why may have {MAX_TEXT} characters each")
    try:
        uuids = [check_uuid(each) for each in process_uuids]
    except InvalidRoute as error:
        raise ConfigurationError(str(error)) from None
    return [
        Order(
            id=str(uuid4()),
            verb=verb,
            process_uuid=each,
            arguments=arguments,
            who=who,
            why=why,
            time=now,
        )
        for each in uuids
    ]


def give(log: Log, names: Names, orders: Sequence[Order]) -> list[Given]:
    """Writes orders to instances, each into its partition.

    Raises:
        ConfigurationError: there is no orders topic.
        Unreachable: the cluster did not take them; some may have been.
        Refused, Unavailable: the cluster.
    """
    count = partitions(log, names)
    return _write(
        log,
        names,
        [(each, murmur2_partition(each.process_uuid.encode(), count)) for each in orders],
    )


def give_all(log: Log, names: Names, verb: Verb, who: str, why: str, now: int) -> list[Given]:
    """Writes an order to every partition (pause, resume). Raises as `give`."""
    orders = [
        (Order(id=str(uuid4()), verb=verb, who=who, why=why, time=now), number)
        for number in range(partitions(log, names))
    ]
    return _write(log, names, orders)


def partitions(log: Log, names: Names) -> int:
    """How many the orders topic has. Raises ConfigurationError, Unavailable."""
    return own_topic(log, names.orders).partitions


def _write(log: Log, names: Names, orders: Sequence[tuple[Order, int]]) -> list[Given]:
    writer, given = log.writer(), {}
    for order, number in orders:
        out = order_record(names.orders, order, number)
        place = TopicPartition(names.orders, number)

        def delivered(offset: int, order: Order = order, place: TopicPartition = place) -> None:
            given[order.id] = Given(order, place, offset)

        writer.produce(out.topic, out.value, out.key, out.headers, out.partition, delivered)
    try:
        writer.flush(WRITE_SECONDS)
    except Again as error:
        raise Unreachable(
            f"{len(given)} of {len(orders)} orders were taken in {WRITE_SECONDS:.0f} s: {error}"
        ) from error
    return [given[order.id] for order, _ in orders]


def outcomes(
    log: Log, given: Sequence[Given], clock: Clock, timeout: float
) -> Iterator[tuple[Given, OrderOutcome | None]]:
    """What becomes of orders, as it comes.

    Args:
        log: the cluster.
        given: the orders.
        clock: for the timeout.
        timeout: seconds; what has no outcome then is told last, with None: it stays valid, and
            its outcome will stand in the audit.
    """
    waiting = {each.order.id: each for each in given}
    starts: dict[TopicPartition, int] = {}
    for each in given:
        starts[each.where] = min(each.offset, starts.get(each.where, each.offset))
    reader, until = log.reader(), clock.monotonic() + timeout
    try:
        reader.assign(starts)
        while waiting and clock.monotonic() < until:
            for record in reader.read(1_000, _LOOK_SECONDS):
                outcome = read_outcome(record)
                found = waiting.pop(outcome.order.id, None) if outcome is not None else None
                if found is not None:
                    yield found, outcome
    finally:
        reader.close()
    for each in waiting.values():
        yield each, None


def carry_out(
    log: Log,
    names: Names,
    orders: Sequence[Order],
    clock: Clock,
    timeout: float,
    rate: float,
) -> Iterator[Answered]:
    """Gives orders to instances at a rate, and tells what becomes of each.

    Args:
        log: the cluster.
        names: of the process manager.
        orders: to give.
        clock: for rate and timeout.
        timeout: seconds for an outcome; when one has none by then, no more are given.
        rate: orders a second.

    Raises:
        As `give`.
    """
    size = max(1, int(rate))
    for first in range(0, len(orders), size):
        began, batch = clock.monotonic(), orders[first : first + size]
        answers = list(answered(log, give(log, names, batch), clock, timeout))
        yield from answers
        rest = orders[first + size :]
        if any(each.verdict is Verdict.UNANSWERED for each in answers):
            yield from (Answered(each, Verdict.NOT_GIVEN) for each in rest)
            return
        if rest:
            clock.sleep(began + size / rate - clock.monotonic())


def answered(log: Log, given: Sequence[Given], clock: Clock, timeout: float) -> Iterator[Answered]:
    """The same as `outcomes`, in words."""
    for each, outcome in outcomes(log, given, clock, timeout):
        if outcome is None:
            yield Answered(each.order, Verdict.UNANSWERED)
        else:
            verdict = Verdict.ACCEPTED if outcome.accepted else Verdict.REFUSED
            yield Answered(each.order, verdict, outcome)


def audit(log: Log, names: Names, process_uuid: str | None = None) -> list[OrderOutcome]:
    """What became of all orders, in the order of their time: of one process, or of all.

    Raises:
        ConfigurationError: there is no orders topic.
        Unreachable, Unavailable: the cluster.
    """
    info = own_topic(log, names.orders)
    places = bounds(log, info)
    if process_uuid is not None:
        number = murmur2_partition(process_uuid.encode(), info.partitions)
        only = TopicPartition(names.orders, number)
        places = {only: places[only]}
    found = [
        outcome
        for records in read_once(log, places)
        for record in records
        if (outcome := read_outcome(record)) is not None
        and process_uuid in (None, outcome.order.process_uuid)
    ]
    return sorted(found, key=lambda each: each.time)
