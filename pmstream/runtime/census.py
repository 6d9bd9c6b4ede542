"""Counts the instances of a store by their condition, in small portions beside the work.

Rule: nothing is counted on the way of an event; the store is walked, over and over, by a budget.
"""

from collections import Counter

from msgspec import Struct, field

from pmstream.core.instance import FormatError, Instance, load_instance
from pmstream.core.lifecycle import DueKind, coming, condition
from pmstream.runtime.clock import Clock
from pmstream.runtime.store import INSTANCE, Store

PORTION = 200
"""Instances between two looks at the clock."""

UNREADABLE = "unreadable"
"""Instances that a newer version wrote."""

_PAST_INSTANCES = bytes([INSTANCE[0] + 1])
_PUNCTUAL = frozenset({DueKind.RETRY, DueKind.REPLY, DueKind.START, DueKind.TIMER})


class Census(Struct):
    """What one walk through a store found.

    Attributes:
        at: when it ended, as `Clock.monotonic` has it.
        conditions: instances by condition.
        backlog: inputs that wait behind others.
        timers: that are set.
        overdue_s: how late the most overdue was then.
        failing_s: how long the oldest failure had been lasting then.
    """

    at: float = 0.0
    conditions: Counter[str] = field(default_factory=Counter)
    backlog: int = 0
    timers: int = 0
    overdue_s: float = 0.0
    failing_s: float = 0.0


class Walk:
    """Walks through one store.

    Args:
        store: open.
        clock: time.

    Attributes:
        last: what the last whole walk found; None before the first has ended.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self.last: Census | None = None
        self._begin()

    def _begin(self) -> None:
        self._census, self._at = Census(), INSTANCE

    def go_on(self, until: float) -> bool:
        """Walks on until then, but at least one portion; True once it has come to the end.

        Args:
            until: as `Clock.monotonic` has it.

        Raises:
            StoreCorrupt, StoreFailed: the store.
        """
        while True:
            now, count = self._clock.now(), 0
            for key, value in self._store.scan(self._at, _PAST_INSTANCES, PORTION):
                self._count(value, now)
                self._at, count = key + b"\0", count + 1
            if count < PORTION:
                self._census.at = self._clock.monotonic()
                self.last = self._census
                self._begin()
                return True
            if self._clock.monotonic() >= until:
                return False

    def _count(self, value: bytes, now: int) -> None:
        census = self._census
        try:
            instance = load_instance(value)
        except FormatError:
            census.conditions[UNREADABLE] += 1
            return
        census.conditions[condition(instance)] += 1
        census.backlog += instance.backlog.size
        census.timers += len(instance.timers.pending)
        if instance.work is not None or instance.timers.pending:
            self._time(instance, now)

    def _time(self, instance: Instance, now: int) -> None:
        census, work = self._census, instance.work
        dues = [each.due for each in coming(instance) if each.kind in _PUNCTUAL]
        if dues:
            census.overdue_s = max(census.overdue_s, (now - min(dues)) / 1000)
        if work is not None and work.first_failed_at:
            census.failing_s = max(census.failing_s, (now - work.first_failed_at) / 1000)
