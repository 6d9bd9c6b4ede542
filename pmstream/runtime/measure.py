"""What an instances worker can tell of its partitions, asked for once a second.

Rule: it only looks; what is counted stands in plain integers where it happens.
"""

from collections import Counter
from collections.abc import Sequence

from pmstream.runtime.census import Census, Walk
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Consumer, TopicPartition
from pmstream.runtime.partition import Partition
from pmstream.runtime.restores import Owned
from pmstream.runtime.store import StoreCorrupt
from pmstream.runtime.vitals import Condition, Part, Values, Vitals

CENSUS_SECONDS, CENSUS_SHARE = 0.003, 0.004
"""How long the stores of a worker are walked through at once to count their instances, and the
share of all time that this may take: over many tombstones a portion takes longer than it should."""


class Measure:
    """Looks at the partitions of one worker.

    Args:
        topic: whose partitions they are.
        clock: time.
    """

    def __init__(self, topic: str, clock: Clock) -> None:
        self._topic, self._clock = topic, clock
        self._past: Counter[str] = Counter()
        self._walks: dict[int, tuple[Partition, Walk]] = {}
        self._at, self._walk_at = 0, 0.0

    def leaving(self, owned: Owned) -> None:
        """The partition is let go of: what it has counted stays counted."""
        if owned.running is not None:
            self._past.update(_counted(owned.running))

    def vitals(self, owned: Sequence[Owned], consumer: Consumer) -> Vitals:
        """What there is to tell of those partitions now."""
        running = [each.running for each in owned if each.running is not None]
        sums = Counter(self._past)
        for part in running:
            sums.update(_counted(part))
        self._go_on([part for part in running if not (part.damaged or part.refused)])
        parts = [self._part(each, consumer) for each in owned]
        return Vitals(parts=parts, values={"inputs_total": dict(sums)} if sums else {})

    def _part(self, owned: Owned, consumer: Consumer) -> Part:
        condition, why = _condition(owned)
        values: Values = {
            "partition_running": float(condition is Condition.RUNNING),
            "partition_blocked": float(condition in (Condition.BLOCKED, Condition.REFUSED)),
            "partition_pinned": float(owned.stable is not None),
            "restore_remaining_records": owned.restore.remaining if owned.restore else 0,
        }
        if owned.store is not None:
            values |= owned.store.figures()
        if owned.running is not None:
            lag = consumer.lag(TopicPartition(self._topic, owned.number))
            values |= {} if lag is None else {"lag_records": lag[0], "hidden_records": lag[1]}
            walk = self._walks.get(owned.number)
            if walk is not None and walk[1].last is not None:
                values |= _census(walk[1].last, self._clock.monotonic())
        return Part(self._topic, owned.number, condition, why, values)

    def _go_on(self, parts: Sequence[Partition]) -> None:
        """Goes on with the walks, each partition in its turn."""
        known = self._walks
        self._walks = {
            part.number: known[part.number]
            if part.number in known and known[part.number][0] is part
            else (part, Walk(part.store, self._clock))
            for part in parts
        }
        began = self._clock.monotonic()
        if began >= self._walk_at:
            self._walk(began + CENSUS_SECONDS)
            self._walk_at = began + (self._clock.monotonic() - began) / CENSUS_SHARE

    def _walk(self, until: float) -> None:
        for number in sorted(self._walks, key=lambda each: (each < self._at, each)):
            part, walk = self._walks[number]
            try:
                is_through = walk.go_on(until)
            except StoreCorrupt as error:
                part.damaged = str(error)
                return
            self._at = number + is_through
            if self._clock.monotonic() >= until:
                return


def _counted(part: Partition) -> Counter[str]:
    found = Counter({str(outcome): count for outcome, count in part.counts.items()})
    found["ignored"] += part.ignored
    found["duplicate"] += part.duplicates
    found["dead_letter"] += part.dead_letters
    found["odd_reply"] += part.odd_replies
    return found


def _condition(owned: Owned) -> tuple[Condition, str]:
    part, restore = owned.running, owned.restore
    if part is None:
        if restore is None:
            return Condition.OPENING, "its store is not open yet"
        return Condition.RESTORING, f"{restore.remaining} changelog records to go"
    if part.damaged:
        return Condition.RESTORING, part.damaged
    return standing(part)


def standing(part: Partition) -> tuple[Condition, str]:
    """Whether the inbox of a partition that runs has to wait, and why."""
    if part.refused:
        return Condition.REFUSED, part.refused
    if part.orders.paused:
        return Condition.PAUSED, "an operator ordered it; `pmstream resume` lets it go on"
    if part.orders.holds:
        return Condition.PAUSED, "orders that were given before it began to run are read first"
    if part.blocked:
        return Condition.BLOCKED, f"the backlog of process {part.blocked} is full"
    return Condition.RUNNING, ""


def _census(census: Census, now: float) -> Values:
    return {
        "instances": dict(census.conditions),
        "backlog_inputs": census.backlog,
        "timers_pending": census.timers,
        "overdue_seconds": census.overdue_s,
        "oldest_failure_seconds": census.failing_s,
        "census_age_seconds": now - census.at,
    }
