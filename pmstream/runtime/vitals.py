"""What a worker tells of itself once a second: its state and counters, ready for the pipe."""

from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum

from msgspec import Struct, field

Values = dict[str, float | dict[str, float]]
"""Name in `pmstream.metrics` to its value, or to values by its last labels, parted by blanks.

A histogram is a mapping, too: upper bound of each bucket to its count, and `SUM`.
"""

SUM = "sum"


class Condition(StrEnum):
    """How a partition fares."""

    OPENING = "opening"
    RESTORING = "restoring"
    RUNNING = "running"
    BLOCKED = "blocked"
    """A full backlog holds it back: events wait, due entries and replies go on."""
    PAUSED = "paused"
    """An operator lets it take orders only."""
    REFUSED = "refused"
    """This code may not go on with its state."""


class Part(Struct, array_like=True):
    """An assigned partition.

    Attributes:
        topic, number: which one.
        condition: how it fares.
        why: what a person should know of that.
        values: of the metrics with a label `partition`.
    """

    topic: str
    number: int
    condition: Condition
    why: str
    values: Values


class Vitals(Struct):
    """A worker.

    Attributes:
        joined: whether it is a member of its group.
        parts: its partitions.
        values: of the metrics without a label `partition`.
    """

    joined: bool = False
    parts: list[Part] = field(default_factory=list)
    values: Values = field(default_factory=dict)


class Histogram:
    """Counts values by size.

    Args:
        bounds: upper ends of the buckets, ascending; behind the last one is one without end.
    """

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds, self._counts, self._sum = bounds, [0] * (len(bounds) + 1), 0.0

    def add(self, value: float) -> None:
        """Counts one."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def values(self) -> dict[str, float]:
        """As `Values` has it."""
        names = [*(str(each) for each in self._bounds), "+Inf"]
        return {**dict(zip(names, self._counts, strict=True)), SUM: self._sum}
