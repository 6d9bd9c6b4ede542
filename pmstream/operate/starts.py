"""Where a process manager starts in its source topics: found once, by an operator.

Rule: a topic that has positions is left alone; all new topics get theirs in one transaction.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from pmstream.app import App, Names
from pmstream.core.starting import ORIGIN, StartFrom
from pmstream.errors import Busy, ConfigurationError, Unreachable
from pmstream.operate.bounds import bounds
from pmstream.runtime.generations import live, read_state, unfinished
from pmstream.runtime.log import Committed, Log, TopicInfo, TopicPartition
from pmstream.runtime.sources import Note, dump_note, load_note

OWNER = "ensure"
"""Who moved a position, in its note."""


class Start(Struct, frozen=True):
    """Where a process manager is to start in one source topic.

    Attributes:
        start_from: where that is, for people.
        positions: partition to the first offset that it will see.
        past: how many offsets that is, up to now.
    """

    process_manager: str
    topic: str
    start_from: str
    positions: Mapping[TopicPartition, Committed]
    past: int


class Starts(Struct, frozen=True):
    """What `set_starts` would do, and what forbids it (one sentence each)."""

    new: tuple[Start, ...]
    faults: tuple[str, ...]

    @property
    def past(self) -> int:
        """How many past events would be handled."""
        return sum(each.past for each in self.new)


def find_starts(app: App, log: Log, *, restart_expired: bool = False) -> Starts:
    """Finds source topics without positions, for each process manager.

    Topics that do not exist are passed over.

    Args:
        app: whose process managers.
        log: the cluster.
        restart_expired: a process manager that ran and whose positions have expired begins at the
            origin again; what it has taken in is recognised by its inbox and dropped.

    Raises:
        Refused, Unavailable, Unreachable: the cluster.
    """
    existing = log.topics()
    new: list[Start] = []
    faults: list[str] = []
    for name, manager in app.process_managers.items():
        state = read_state(log, app.name, name)
        if state.change is not None:
            continue  # who makes the generation sets its positions; workers wait
        names = state.names(app.name, name)
        group, is_direct = app.source_group(names), manager.keyed is not None
        sources = [existing[topic] for topic in app.events if topic in existing]
        have = {topic.name: _positions(log, group, topic) for topic in sources}
        for topic in sources:
            faults += [] if is_direct else _faults(names, topic, have[topic.name])
        start_from = manager.start_from
        written = _written(log, names, existing, is_direct=is_direct)
        if not any(have.values()) and written:
            if not restart_expired:
                faults.append(_expired(group, written))
                continue
            start_from = ORIGIN
        for topic in sources:
            if not have[topic.name]:
                start, wrong = start_of(log, name, topic, start_from)
                new.append(start)
                faults += wrong
    return Starts(tuple(new), tuple(faults))


def set_starts(app: App, log: Log, starts: Starts) -> None:
    """Sets them: for each process manager all or none.

    Raises:
        Busy: its routers are running.
        Refused, Unavailable: the cluster.
    """
    for name in app.process_managers:
        group = app.source_group(live(log, app.name, name))
        positions = {
            place: committed
            for each in starts.new
            if each.process_manager == name
            for place, committed in each.positions.items()
        }
        if not positions:
            continue
        members = log.members(group)
        if members:
            raise Busy(
                f"start positions of {name} can only be set while no worker of it runs: stop "
                f"{', '.join(members)} (group {group})"
            )
        log.set_positions(group, positions)


def moved(
    app: App, log: Log, process_manager: str, start_from: StartFrom
) -> tuple[Starts, Mapping[TopicPartition, Committed]]:
    """Where a process manager would read on, to have events delivered again, and where it stands.

    Owners drop what they have taken in before, so moving back is safe.

    Raises:
        ConfigurationError: it reads its source itself (`keyed`), or has no such topic.
        Busy: another generation of it is being made.
        Refused, Unavailable, Unreachable: the cluster.
    """
    if app.manager(process_manager).keyed is not None:
        raise ConfigurationError(
            f"{process_manager} reads its source itself (keyed): its position is part of its "
            "state, and cannot be moved without it"
        )
    state = read_state(log, app.name, process_manager)
    if state.change is not None:
        raise Busy(unfinished(process_manager, state.change))
    existing, group = log.topics(), app.source_group(state.names(app.name, process_manager))
    named = start_from if isinstance(start_from, Mapping) else app.events
    unknown = [topic for topic in named if topic not in app.events or topic not in existing]
    if unknown:
        raise ConfigurationError(
            f"{', '.join(unknown)}: no such source topic; those are {', '.join(app.events)}"
        )
    found = [start_of(log, process_manager, existing[topic], start_from) for topic in named]
    now = {
        place: committed
        for topic in named
        for place, committed in _positions(log, group, existing[topic]).items()
    }
    if isinstance(start_from, Mapping):  # what is not named stays where it is
        wanted = {(t, p) for t, parts in start_from.items() for p in parts}
        found = [(_only(each, wanted), faults) for each, faults in found]
    return Starts(
        tuple(each for each, _ in found), tuple(f for _, faults in found for f in faults)
    ), now


def _only(start: Start, wanted: set[tuple[str, int]]) -> Start:
    return replace(start, positions={k: v for k, v in start.positions.items() if k in wanted})


def _positions(log: Log, group: str, topic: TopicInfo) -> Mapping[TopicPartition, Committed]:
    places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
    return log.last_committed(group, places)


def _faults(
    names: Names, topic: TopicInfo, have: Mapping[TopicPartition, Committed]
) -> Iterator[str]:
    """Positions that speak of another history."""
    notes = [load_note(each.metadata) for each in have.values()]
    if any(note is None for note in notes):
        yield (
            f"positions of {names.process_manager} in {topic.name} were set from outside (group "
            f"{names.group('router')}): stop its workers and delete the group, then "
            "`pmstream topics ensure --restart-expired` begins at the origin and drops what was "
            "handled"
        )
    elif any(note.topic_id != topic.id for note in notes if note is not None):
        yield (
            f"positions of {names.process_manager} speak of an earlier topic {topic.name}, which "
            "was deleted and made again: its offsets mean other events now. Give the process "
            f"manager a new name, or delete {names.inbox}, {names.changelog} and the groups "
            f"{names.group('router')} and {names.group('instances')} to start over"
        )


def _written(log: Log, names: Names, existing: Mapping[str, TopicInfo], *, is_direct: bool) -> str:
    """The topic that shows that it has run; "" if it has not.

    The inbox of a generation that a repartition made may be empty, although it has state.
    """
    topics = (names.changelog,) if is_direct else (names.inbox, names.changelog)
    for topic in topics:
        info = existing.get(topic)
        if info is not None and any(end for _, end in bounds(log, info).values()):
            return topic
    return ""


def _expired(group: str, written: str) -> str:
    return (
        f"group {group} has no positions although {written} was written: they "
        "have expired (offsets.retention.minutes). `pmstream topics ensure --restart-expired` "
        "begins at the origin and drops what was handled"
    )


def start_of(
    log: Log, process_manager: str, topic: TopicInfo, start_from: StartFrom
) -> tuple[Start, list[str]]:
    """Where to start in a topic, and what is wrong with the offsets that were named for it.

    Raises:
        Unreachable: a partition does not answer.
    """
    limits = bounds(log, topic)
    if isinstance(start_from, Mapping):
        named = start_from.get(topic.name, {})
        offsets = {place: named.get(place.partition, limits[place][0]) for place in limits}
        faults = list(_offset_faults(process_manager, topic, named, limits))
    else:
        offsets = {place: _offset(log, place, limits[place], start_from) for place in limits}
        faults = []
    note = dump_note(Note(OWNER, topic.id))
    positions = {place: Committed(offset, note) for place, offset in offsets.items()}
    past = sum(max(0, limits[place][1] - offset) for place, offset in offsets.items())
    where = _in_words(start_from, topic.name)
    return Start(process_manager, topic.name, where, positions, past), faults


def _offset(
    log: Log, place: TopicPartition, limits: tuple[int, int], start_from: str | datetime
) -> int:
    if not isinstance(start_from, datetime):
        return limits[0] if start_from == ORIGIN else limits[1]
    offset = log.offset_at(place, int(start_from.timestamp() * 1000))
    if offset is None:
        raise Unreachable(f"{place.topic}-{place.partition} does not answer (no leader): try again")
    return offset


def _offset_faults(
    process_manager: str,
    topic: TopicInfo,
    named: Mapping[int, int],
    limits: Mapping[TopicPartition, tuple[int, int]],
) -> Iterator[str]:
    for partition, offset in named.items():
        where = f"start_from of {process_manager} names"
        if partition >= topic.partitions:
            yield (
                f"{where} partition {partition} of {topic.name}, which has {topic.partitions} "
                f"(0 to {topic.partitions - 1}): correct it"
            )
            continue
        start, end = limits[TopicPartition(topic.name, partition)]
        if not start <= offset <= end:
            what = "was deleted" if offset < start else "is not written yet"
            yield (
                f"{where} offset {offset} of {topic.name}-{partition}, which {what}: it is "
                f"from {start} to {end}, the end of this moment"
            )


def _in_words(start_from: StartFrom, topic: str) -> str:
    if isinstance(start_from, Mapping):
        named = sorted(start_from.get(topic, {}).items())
        offsets = ", ".join(f"{partition}:{offset}" for partition, offset in named)
        return f"{ORIGIN}, but partition:offset {offsets}" if offsets else ORIGIN
    return start_from.isoformat() if isinstance(start_from, datetime) else start_from
