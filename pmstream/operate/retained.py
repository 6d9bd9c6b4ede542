"""What a rebuild reads: the history of a process manager, and whether all of it is still there."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.core.obeying import Refused, delivered
from pmstream.core.orders import Order, Verb
from pmstream.core.process import CONFIRM
from pmstream.core.starting import CURRENT, StartFrom
from pmstream.operate.bounds import bounds
from pmstream.operate.dead_letters import SOURCE
from pmstream.operate.reading import read_once
from pmstream.operate.rerun import History
from pmstream.operate.starts import start_of
from pmstream.runtime.generations import read_state
from pmstream.runtime.log import Log, TopicInfo, TopicPartition
from pmstream.runtime.orders import KIND, ORDER, order_reader


class Retained(Struct, frozen=True):
    """History.

    Attributes:
        sources: source partitions, and what of them was taken in.
        faults: what of it is not there any more, one sentence each.
    """

    sources: History
    faults: tuple[str, ...]


def retained(
    log: Log,
    app: App,
    names: Names,
    taken: Mapping[TopicPartition, int],
    start_from: StartFrom,
) -> Retained:
    """The history of a process manager up to where it stopped.

    Args:
        log: the cluster.
        app: with the process manager.
        names: of the generation that stopped.
        taken: its positions in the source topics.
        start_from: where its history begins.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    existing, sources = log.topics(), dict[TopicPartition, tuple[int, int]]()
    faults = list(_of_feeds(log, app, names, existing))
    if start_from == CURRENT:
        faults.append(
            f'{names.process_manager} began at the end its sources had then (start_from="current"),'
            " and where that was is not kept: say --from a time, or topic:partition:offset"
        )
        return Retained(sources, tuple(faults))
    for topic in app.events:
        info = existing[topic]
        if "compact" in log.config(topic).get("cleanup.policy", ""):
            faults.append(f"{topic} is compacted: it keeps the last event of a key, no history")
        start, wrong = start_of(log, names.process_manager, info, start_from)
        faults += wrong
        for place, (low, _) in bounds(log, info).items():
            begin = start.positions[place].position
            if place in taken and taken[place] > begin:
                sources[place] = (begin, taken[place])
                faults += _of_start(place, begin, low, start_from)
    return Retained(sources, tuple(faults))


def _of_start(place: TopicPartition, begin: int, low: int, start_from: StartFrom) -> Iterator[str]:
    is_named = not isinstance(start_from, datetime | str) and place.partition in start_from.get(
        place.topic, {}
    )
    if low and begin == low and not is_named:
        yield (
            f"{place.topic}-{place.partition} starts at {low}: what stood before is not retained. "
            "If the processes of today need none of it, say --from topic:partition:offset"
        )


def _of_feeds(log: Log, app: App, names: Names, existing: Mapping[str, TopicInfo]) -> Iterator[str]:
    """Orders, replies and dead letters are read from their beginning."""
    topics = [names.orders, names.dead_letters]
    if app.manager(names.process_manager).dispatch == CONFIRM:
        topics.append(names.replies)
    for topic in topics:
        gone = [
            f"{topic}-{place.partition} starts at {start}"
            for place, (start, _) in bounds(log, existing[topic]).items()
            if start
        ]
        if gone:
            yield (
                f"{', '.join(gone)}: what stood before is not retained (retention.ms), and with it "
                "what operators or services did"
            )
    for past in read_state(log, names.app, names.process_manager).past:
        before = Names(names.app, names.process_manager, past.generation, past.feeds)
        info = existing.get(before.orders) if before.orders != names.orders else None
        if info is not None and any(end > start for start, end in bounds(log, info).values()):
            yield (
                f"a {past.what} gave {names.process_manager} orders of its own: those before it "
                f"stand in {before.orders}, and a rebuild cannot put both into one order"
            )


def apart(log: Log, names: Names) -> frozenset[str]:
    """Places of events that did not come by their topic: dead letters, and what was delivered.

    A rebuild passes them over where they stand: a dead letter stays one, and one that an order
    delivered counts at the time of the order, as it did.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    existing, found = log.topics(), set[str]()
    for records in read_once(log, bounds(log, existing[names.dead_letters])):
        for record in records:
            source = dict(record.headers).get(SOURCE)
            if source is not None:
                found.add(source.decode(errors="replace"))
    orders = existing[names.orders]
    read = order_reader(orders.name, orders.partitions)
    for records in read_once(log, bounds(log, orders)):
        for record in records:
            order = read(record, record.partition) if (KIND, ORDER) in record.headers else None
            if isinstance(order, Order) and order.verb is Verb.DELIVER:
                try:
                    found.add(delivered(order).cause)
                except Refused:
                    continue
    return frozenset(found)
