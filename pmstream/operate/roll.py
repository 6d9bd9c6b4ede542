"""What the instances of a process manager wait for, added up from its changelog.

Rule: one pass, and of an instance that waits for nothing only its key is remembered.
"""

from collections import Counter

from msgspec import Struct, structs

from pmstream.app import Names
from pmstream.core.instance import FormatError, Instance, load_instance
from pmstream.core.lifecycle import Condition, DueKind, coming, condition
from pmstream.operate.bounds import bounds
from pmstream.operate.changelog import partitions
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import COMMIT_KEY, load_commit
from pmstream.runtime.log import Log
from pmstream.runtime.store import INSTANCE

OVERDUE_MS = 10_000
"""What is later than this is overdue."""

_PUNCTUAL = frozenset({DueKind.RETRY, DueKind.REPLY, DueKind.START, DueKind.TIMER})


class Roll(Struct, frozen=True):
    """All instances together.

    Attributes:
        instances: how many there are, markers of completed ones counted.
        conditions: instances by condition.
        backlog: inputs that wait behind others.
        overdue: retries, timers, holds and replies that should have come OVERDUE_MS ago.
        overdue_timers: the timers among them.
        late_ms: how late the latest of them is.
        full: process UUIDs whose backlog is full.
        unreadable: instances that a newer version wrote.
        paused: partitions that an operator lets take orders only.
    """

    instances: int
    conditions: dict[Condition, int]
    backlog: int
    overdue: int
    overdue_timers: int
    late_ms: int
    full: tuple[str, ...]
    unreadable: int
    paused: tuple[int, ...] = ()


class _Brief(Struct, frozen=True):
    condition: Condition
    backlog: int
    dues: tuple[tuple[DueKind, int], ...]


_IDLE = _Brief(Condition.IDLE, 0, ())


def roll(log: Log, names: Names, backlog_limit: int, now: int) -> Roll:
    """Reads the changelog.

    Args:
        log: the cluster.
        names: of the process manager.
        backlog_limit: of the process manager.
        now: milliseconds since the epoch.

    Raises:
        ChangelogInvalid: a newer version wrote its commit records.
        ConfigurationError: there is no such changelog.
        Unreachable, Unavailable: the cluster.
    """
    partitions(log, names)
    found: dict[bytes, _Brief | None] = {}
    paused: dict[int, bool] = {}
    for records in read_once(log, bounds(log, log.topics()[names.changelog])):
        for record in records:
            if record.key == COMMIT_KEY:
                paused[record.partition] = load_commit(record.value).paused
            if record.key is None or record.key[:1] != INSTANCE:
                continue
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = _brief(record.value)
    held = tuple(sorted(number for number, is_paused in paused.items() if is_paused))
    return structs.replace(_added(found, backlog_limit, now), paused=held)


def _brief(value: bytes) -> _Brief | None:
    """None: a newer version wrote it."""
    try:
        instance = load_instance(value)
    except FormatError:
        return None
    made = _Brief(condition(instance), instance.backlog.size, _dues(instance))
    return _IDLE if made == _IDLE else made


def _dues(instance: Instance) -> tuple[tuple[DueKind, int], ...]:
    return tuple((each.kind, each.due) for each in coming(instance) if each.kind in _PUNCTUAL)


def _added(found: dict[bytes, _Brief | None], backlog_limit: int, now: int) -> Roll:
    briefs = {key: each for key, each in found.items() if each is not None}
    late = [
        (kind, now - due)
        for each in briefs.values()
        for kind, due in each.dues
        if now - due > OVERDUE_MS
    ]
    full = [key for key, each in briefs.items() if each.backlog >= backlog_limit]
    return Roll(
        instances=len(found),
        conditions=dict(Counter(each.condition for each in briefs.values())),
        backlog=sum(each.backlog for each in briefs.values()),
        overdue=len(late),
        overdue_timers=sum(kind is DueKind.TIMER for kind, _ in late),
        late_ms=max((each for _, each in late), default=0),
        full=tuple(sorted(key[len(INSTANCE) :].decode() for key in full)),
        unreadable=len(found) - len(briefs),
    )
