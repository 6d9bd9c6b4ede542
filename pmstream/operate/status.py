"""How an app fares, told by Kafka alone: who works, how far they are, and what waits for whom.

Rule: a busy app is well, one that stands is not; so whatever lags is looked at twice.
"""

from collections.abc import Mapping
from contextlib import closing

from msgspec import Struct, structs

from pmstream.app import App
from pmstream.core.process import CONFIRM
from pmstream.operate.bounds import bounds
from pmstream.operate.dead_letters import still_open
from pmstream.operate.progress import Reach, pinned, reach, standing
from pmstream.operate.reading import read_once
from pmstream.operate.roll import Roll, roll
from pmstream.runtime.clock import Clock, SystemClock
from pmstream.runtime.generations import read_state
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition

LOOK_SECONDS = 3.0
"""Between two looks at what lags."""

MOST_DEAD_LETTERS = 1_000
"""So many are counted; there may be more."""

RECENT_MS = 24 * 3_600_000
"""Dead letters of the last day are recent."""

ROUTER, INSTANCES = "router", "instances"

_Reaches = Mapping[TopicPartition, Reach]


class Group(Struct, frozen=True):
    """The workers of one role, and how far they are.

    Attributes:
        role: router or instances.
        members: names of those that work now.
        partitions: how many there are to share.
        lag: records (or, far behind, offsets) before them.
        gap: offsets that open transactions hide from them.
        without_position: source topics in which the group has no committed position at all.
        standing: partitions that were not moved on between two looks, though they lag.
        pinned: partitions whose end one open transaction hid at both looks.
    """

    role: str
    members: tuple[str, ...]
    partitions: int
    lag: int
    gap: int
    without_position: tuple[str, ...] = ()
    standing: tuple[Reach, ...] = ()
    pinned: tuple[Reach, ...] = ()


class DeadLetters(Struct, frozen=True):
    """Dead letters that nobody is done with, up to MOST_DEAD_LETTERS, and those that are recent."""

    count: int
    recent: int


class Fares(Struct, frozen=True):
    """How one process manager fares.

    Attributes:
        process_manager: its name.
        missing: topics that it needs and the cluster does not have; then nothing else is told.
        groups: by role.
        roll: what its instances wait for.
        dead_letters: see there.
        change: the command that makes another generation of it at this moment; "" if none does.
    """

    process_manager: str
    missing: tuple[str, ...]
    groups: tuple[Group, ...] = ()
    roll: Roll | None = None
    dead_letters: DeadLetters = DeadLetters(0, 0)
    change: str = ""


def status(log: Log, app: App, clock: Clock | None = None) -> list[Fares]:
    """Looks at every process manager of an app; takes LOOK_SECONDS more if anything lags.

    Raises:
        Refused, Unreachable, Unavailable: the cluster.
    """
    clock = clock or SystemClock()
    topics, began = log.topics(), clock.monotonic()
    looks = {name: _Look(log, app, name, topics) for name in app.process_managers}
    fares = {name: look.fares(clock.now()) for name, look in looks.items()}
    lagging = [name for name, look in looks.items() if look.is_lagging]
    if lagging:
        clock.sleep(began + LOOK_SECONDS - clock.monotonic())
    for name in lagging:
        fares[name] = structs.replace(fares[name], groups=looks[name].again())
    return list(fares.values())


class _Look:
    """One process manager at one moment, and how it was a moment before."""

    def __init__(self, log: Log, app: App, name: str, topics: Mapping[str, TopicInfo]) -> None:
        self._log, self._manager = log, app.manager(name)
        state = read_state(log, app.name, name)
        self._names = state.names(app.name, name)
        self._change = state.change.what if state.change is not None else ""
        keyed = self._manager.keyed
        wanted = {INSTANCES: [keyed or self._names.inbox]}
        if keyed is None:
            wanted = {ROUTER: list(app.events), **wanted}
        others = [self._names.changelog, self._names.orders, self._names.dead_letters]
        others += [self._names.replies] if self._manager.dispatch == CONFIRM else []
        needed = [*(each for some in wanted.values() for each in some), *others]
        self._missing = tuple(each for each in needed if each not in topics)
        self._topics = topics
        self._wanted = {} if self._missing else wanted
        self._before = self._reaches()

    def _reaches(self) -> dict[str, _Reaches]:
        return {
            role: reach(self._log, self._names.group(role), [self._topics[each] for each in some])
            for role, some in self._wanted.items()
        }

    @property
    def is_lagging(self) -> bool:
        """Whether a second look tells more."""
        return any(
            each.lag or each.gap for reaches in self._before.values() for each in reaches.values()
        )

    def fares(self, now: int) -> Fares:
        """What one look tells."""
        name = self._names.process_manager
        if self._missing:
            return Fares(name, self._missing)
        return Fares(
            process_manager=name,
            missing=(),
            groups=self._groups(self._before),
            roll=roll(self._log, self._names, self._manager.backlog_limit, now),
            dead_letters=self._dead_letters(now),
            change=self._change,
        )

    def again(self) -> tuple[Group, ...]:
        """What a second look tells of its groups."""
        return self._groups(self._reaches(), self._before)

    def _groups(
        self, now: Mapping[str, _Reaches], before: Mapping[str, _Reaches] | None = None
    ) -> tuple[Group, ...]:
        found = []
        for role, reaches in now.items():
            was = before[role] if before is not None else {}
            twice = [(was[place], each) for place, each in reaches.items() if place in was]
            without = [
                topic
                for topic in self._wanted[role]
                if topic != self._names.inbox
                and not any(each.known for place, each in reaches.items() if place.topic == topic)
            ]
            found.append(
                Group(
                    role=role,
                    members=tuple(sorted(self._log.members(self._names.group(role)))),
                    partitions=len(reaches),
                    lag=sum(each.lag for each in reaches.values()),
                    gap=sum(each.gap for each in reaches.values()),
                    without_position=tuple(without),
                    standing=tuple(each for early, each in twice if standing(early, each)),
                    pinned=tuple(each for early, each in twice if pinned(early, each)),
                )
            )
        return tuple(found)

    def _dead_letters(self, now: int) -> DeadLetters:
        topic = self._topics[self._names.dead_letters]
        found: list[Record] = []
        with closing(read_once(self._log, bounds(self._log, topic))) as chunks:
            for records in chunks:
                found += records
                if len(found) >= MOST_DEAD_LETTERS:
                    return DeadLetters(MOST_DEAD_LETTERS, self._recent(topic, now))
        left = still_open(found)
        return DeadLetters(len(left), sum(each.timestamp > now - RECENT_MS for each in left))

    def _recent(self, topic: TopicInfo, now: int) -> int:
        """Whether there are any; too many to be counted one by one."""
        places = bounds(self._log, topic)
        begin = {place: self._log.offset_at(place, now - RECENT_MS) for place in places}
        return sum(max(end - (begin[place] or end), 0) for place, (_, end) in places.items())
