"""What has to be done before a process manager's partitions can change: nothing may be under way.

Rule: an input is under way while it is in a topic and not in an instance: a routed event, an order,
a command whose reply is to come. What waits inside an instance (retry, timer, backlog) goes along.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from pmstream.app import Names
from pmstream.operate.bounds import bounds
from pmstream.operate.contents import Looked
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import CommitRecord
from pmstream.runtime.generations import load_closed
from pmstream.runtime.log import Committed, Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.log_errors import PositionLost
from pmstream.runtime.orders import is_order
from pmstream.runtime.sources import load_note


class Left(Struct, frozen=True):
    """Something that is under way: where, what, and what ends it."""

    where: str
    what: str
    remedy: str


_RUN = "start the instances workers (not the routers) until it is taken in"
_PAUSED = "it is paused: `pmstream resume`, and let the instances workers take it in"
_WAIT = "a worker that died left it; it ends within transaction_timeout_ms: try again then"
_REPLY = "let the instances workers run until the reply, or its timeout, has come"
_ENSURE = "`pmstream topics ensure` tells what to do"
_STATE = "start the instances workers: they tell what is wrong"


def left(log: Log, names: Names, sources: Collection[str], looked: Looked) -> list[Left]:
    """All that is under way.

    Args:
        log: the cluster.
        names: of the process manager.
        sources: the topics that its routers read.
        looked: at its changelog, just now.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    topics = log.topics()
    found = list(_open(log, topics, names.changelog, names.orders, names.inbox))
    found += _inbox(log, names, topics[names.inbox], looked)
    found += _orders(log, topics[names.orders], looked)
    found += _routers(log, names, [topics[each] for each in sources if each in topics])
    found += [
        Left(uuid, "waits for the reply to a command that is out", _REPLY)
        for uuid in looked.awaiting
    ]
    return found


def positions(log: Log, group: str, topic: TopicInfo) -> dict[TopicPartition, Committed]:
    """The group's positions in a topic, as they were before they were closed."""
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    found = {}
    for place, committed in log.last_committed(group, places).items():
        closed = load_closed(committed.metadata)
        found[place] = committed if closed is None else Committed(committed.position, closed.before)
    return found


def _routers(log: Log, names: Names, sources: Iterable[TopicInfo]) -> Iterator[Left]:
    """Without positions nobody would know where the new routers begin."""
    group = names.group("router")
    for topic in sources:
        known = positions(log, group, topic)
        notes = [load_note(each.metadata) for each in known.values()]
        if not known or any(note is None or note.topic_id != topic.id for note in notes):
            yield Left(f"{group} in {topic.name}", "no positions, or of another topic", _ENSURE)


def _open(log: Log, topics: Mapping[str, TopicInfo], *names: str) -> Iterator[Left]:
    for name in names:
        for place in open_transactions(log, topics[name]):
            yield Left(_said(place), "an open transaction", _WAIT)


def open_transactions(log: Log, topic: TopicInfo) -> Iterator[TopicPartition]:
    """Partitions that hide what an open transaction wrote. Raises Unreachable."""
    for place, (_, stable) in bounds(log, topic).items():
        end = log.end(place, stable=False)
        if end is None or stable < end:
            yield place


def _inbox(log: Log, names: Names, topic: TopicInfo, looked: Looked) -> Iterator[Left]:
    """Events that no owner has taken in."""
    known = positions(log, names.group("instances"), topic)
    for place, span in bounds(log, topic).items():
        last, committed = looked.commits.get(place.partition), known.get(place)
        if committed is not None and last is not None and not last.matches(committed):
            yield Left(_said(place), _disagree(last, committed), _STATE)
            continue
        position = last.source if last is not None else 0
        begin = committed.position if committed is not None else position
        count = unread(log, place, span, begin)
        if count:
            is_paused = last is not None and last.paused
            yield Left(
                _said(place), f"{count} events are not taken in", _PAUSED if is_paused else _RUN
            )


def _disagree(last: CommitRecord, committed: Committed) -> str:
    return (
        f"the group stands at {committed.position}, sequence {committed.metadata or 'none'}; the "
        f"state at {last.source}, sequence {last.sequence}"
    )


def _orders(log: Log, topic: TopicInfo, looked: Looked) -> Iterator[Left]:
    for place, span in bounds(log, topic).items():
        last = looked.commits.get(place.partition)
        count = unread(log, place, span, last.orders if last is not None else 0, is_order)
        if count:
            yield Left(_said(place), f"{count} orders are not obeyed", _RUN)


def unread(
    log: Log,
    place: TopicPartition,
    span: tuple[int, int],
    begin: int,
    counts: Callable[[Record], bool] = lambda _: True,
) -> int:
    """Records from there on; markers take offsets, so that only reading tells.

    Args:
        log: the cluster.
        place: the partition.
        span: its start and end.
        begin: the position of who takes it in.
        counts: whether a record does.

    Raises:
        Unreachable, Unavailable: the cluster.
    """
    start, end = span
    left = {place: (max(start, begin), end)}
    try:
        return sum(counts(record) for records in read_once(log, left) for record in records)
    except PositionLost:
        return 0  # purged meanwhile: so old that nobody waits for it


def _said(place: TopicPartition) -> str:
    return f"{place.topic}-{place.partition}"
