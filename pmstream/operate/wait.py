"""Waits until process managers have handled an event, for those who must read their own writes.

Rule: in an inbox a position alone proves nothing, because the markers of transactions take offsets,
too. Whether anything is left to handle is told by reading the records.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import closing
from enum import StrEnum

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.errors import ConfigurationError
from pmstream.operate.deferred import Deferred, deferred
from pmstream.operate.reading import read_once
from pmstream.runtime.clock import Clock, SystemClock
from pmstream.runtime.generations import live
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.log_errors import PositionLost

TIMEOUT_SECONDS = 30.0

_EVENT = re.compile(r"(.+)-(\d{1,9})-(\d{1,18})")
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.05, 1.0


class Verdict(StrEnum):
    """What became of an event."""

    HANDLED = "handled"
    TIMEOUT = "timeout"
    DEFERRED = "deferred"


class Handled(Struct, frozen=True):
    """What became of an event in one process manager.

    Attributes:
        process_manager: its name.
        verdict: HANDLED also if it was ignored, was a dead letter, or is from before the start.
        why: what was still to come when the time was up; "" unless TIMEOUT.
        deferred: instances that are not done with it; empty unless asked to explain.
    """

    process_manager: str
    verdict: Verdict
    why: str = ""
    deferred: tuple[Deferred, ...] = ()


def handled(
    log: Log,
    app: App,
    event: str,
    process_managers: Iterable[str] | None = None,
    timeout: float = TIMEOUT_SECONDS,
    *,
    explain: bool = False,
    clock: Clock | None = None,
) -> list[Handled]:
    """Returns when an event is handled, or the time is up.

    What an instance retries, parks or lets wait counts as handled, unless `explain` is set.

    Args:
        log: the cluster.
        app: whose process managers.
        event: where it stands, `topic-partition-offset`.
        process_managers: their names; None is all whose `consistency` is "strong".
        timeout: seconds; 0 looks once.
        explain: read the changelogs, too, and tell which instances are not done with it.
        clock: time.

    Returns:
        What became of it in each process manager.

    Raises:
        ConfigurationError: nobody to wait for, no such process manager, topic or partition.
        Unreachable, Unavailable, Refused: the cluster.
    """
    names = [live(log, app.name, name) for name in _chosen(app, process_managers)]
    topics = log.topics()
    place, offset = _event(app, event, topics)
    watches = {
        each.process_manager: _watch(log, app, each, place, offset, topics) for each in names
    }
    open_ones = _wait(watches, timeout, clock or SystemClock())
    found = []
    for each in names:
        why, waiting = open_ones.get(each.process_manager, ""), list[Deferred]()
        if explain:
            changelog = _existing(topics, each.changelog)
            waiting = deferred(log, each, changelog, f"{place.topic}-{place.partition}-{offset}")
        verdict = Verdict.DEFERRED if waiting else Verdict.HANDLED
        verdict = Verdict.TIMEOUT if why else verdict
        found.append(Handled(each.process_manager, verdict, why, tuple(waiting)))
    return found


def _chosen(app: App, named: Iterable[str] | None) -> list[str]:
    if named is not None:
        return [app.manager(name).name for name in dict.fromkeys(named)]
    strong = [
        name for name, manager in app.process_managers.items() if manager.consistency == "strong"
    ]
    if not strong:
        raise ConfigurationError(
            f'no process manager of {app.name} has consistency="strong": name those to wait for '
            f"by --pm (Python: process_managers); it has {', '.join(app.process_managers)}"
        )
    return strong


def _event(app: App, event: str, topics: Mapping[str, TopicInfo]) -> tuple[TopicPartition, int]:
    found = _EVENT.fullmatch(event)
    if found is None:
        raise ConfigurationError(
            f"event is {event!r}; it is topic-partition-offset, for example bank.transfers-0-17"
        )
    topic, partition, offset = found[1], int(found[2]), int(found[3])
    if topic not in app.events:
        raise ConfigurationError(
            f"event {event}: {topic} is no source topic of {app.name}; those are "
            f"{', '.join(app.events)}"
        )
    count = _existing(topics, topic).partitions
    if partition >= count:
        raise ConfigurationError(
            f"event {event}: {topic} has {count} partitions, 0 to {count - 1}, and no {partition}"
        )
    return TopicPartition(topic, partition), offset


def _existing(topics: Mapping[str, TopicInfo], topic: str) -> TopicInfo:
    if topic not in topics:
        raise ConfigurationError(f"there is no topic {topic}: run `pmstream topics ensure`")
    return topics[topic]


def _wait(watches: Mapping[str, "_Watch"], timeout: float, clock: Clock) -> dict[str, str]:
    """Process managers that have not handled it in time, with what is still to come."""
    until, pause = clock.monotonic() + timeout, _FIRST_PAUSE_SECONDS
    open_ones = dict.fromkeys(watches, "")
    while True:
        looks = {name: watches[name].look() for name in open_ones}
        open_ones = {name: why for name, why in looks.items() if why}
        left = until - clock.monotonic()
        if not open_ones or left <= 0:
            return open_ones
        clock.sleep(min(pause, left))
        pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def _watch(
    log: Log,
    app: App,
    names: Names,
    place: TopicPartition,
    offset: int,
    topics: Mapping[str, TopicInfo],
) -> "_Watch":
    group = app.source_group(names)
    if app.manager(names.process_manager).keyed is not None:
        return _Watch(log, names, group, place, offset, [])
    count = _existing(topics, names.inbox).partitions
    inbox = [TopicPartition(names.inbox, number) for number in range(count)]
    return _Watch(log, names, group, place, offset, inbox)


class _Watch:
    """One process manager on its way: past the source position, then past the inbox's ends.

    In direct mode there is no inbox: past the source position is all.
    """

    def __init__(
        self,
        log: Log,
        names: Names,
        group: str,
        place: TopicPartition,
        offset: int,
        inbox: list[TopicPartition],
    ) -> None:
        self._log, self._names, self._group = log, names, group
        self._place, self._offset, self._inbox = place, offset, inbox
        self._ends: dict[TopicPartition, int] | None = None
        self._met: dict[TopicPartition, int] = {}

    def look(self) -> str:
        """What is still to come; "" once it is handled."""
        if self._ends is None:
            why = _not_past(self._log, self._group, self._place, self._offset)
            # The very ends: the router's transaction may not be marked as committed there yet,
            # although its positions are.
            ends = {} if why else {each: self._log.end(each, stable=False) for each in self._inbox}
            unknown = [each for each, end in ends.items() if end is None]
            if why or unknown:
                return why or f"the end of {_text(unknown[0])} is unknown (no leader)"
            self._ends = {each: end for each, end in ends.items() if end is not None}
        return self._unhandled(self._ends)

    def _unhandled(self, ends: dict[TopicPartition, int]) -> str:
        """Looks for a record between the committed positions and the ends."""
        group = self._names.group("instances")
        known = self._log.last_committed(group, list(ends))
        at = {each: known[each].position if each in known else self._start(each) for each in ends}
        self._ends = ends = {each: end for each, end in ends.items() if at[each] < end}
        self._met = {each: met for each, met in self._met.items() if met >= at[each]}
        if ends and not self._met:
            for each, end in ends.items():
                if (self._log.end(each, stable=True) or 0) < end:
                    return f"{_text(each)} has an open transaction below {end}"
            try:
                self._met = _first(self._log, {each: (at[each], end) for each, end in ends.items()})
            except PositionLost as error:
                return str(error)
        if not self._met:
            self._ends = {}
            return ""
        return ", ".join(
            f"group {group} has the record at {met} of {_text(each)} before it"
            for each, met in self._met.items()
        )

    def _start(self, place: TopicPartition) -> int:
        return self._log.start(place) or 0


def _not_past(log: Log, group: str, place: TopicPartition, offset: int) -> str:
    """Why a group's position is not past a source record; "" if it is."""
    known = log.last_committed(group, [place]).get(place)
    if known is not None and known.position > offset:
        return ""
    end = log.end(place, stable=False)
    if end is not None and end <= offset:
        return f"{_text(place)} ends at {end}: there is no event at {offset} yet"
    if known is None:
        return f"group {group} has no position in {_text(place)}: run `pmstream topics ensure`"
    return f"group {group} is at {known.position} of {_text(place)}"


def _first(log: Log, bounds: Mapping[TopicPartition, tuple[int, int]]) -> dict[TopicPartition, int]:
    """The first record of each partition that the first records read have; {} if none is left."""
    with closing(read_once(log, bounds)) as chunks:
        records: list[Record] = next(chunks, [])
    found: dict[TopicPartition, int] = {}
    for record in records:
        found.setdefault(TopicPartition(record.topic, record.partition), record.offset)
    return found


def _text(place: TopicPartition) -> str:
    return f"{place.topic}-{place.partition}"
