"""How far a group has come in a topic, and whether it still moves.

Rule: positions alone never reach an end, because the markers of transactions take offsets, too; a
short lag is counted by reading it.
"""

from collections.abc import Iterable

from msgspec import Struct, structs

from pmstream.errors import Unreachable
from pmstream.operate.reading import read_once
from pmstream.runtime.log import Log, TopicInfo, TopicPartition
from pmstream.runtime.log_errors import PositionLost

COUNTED_OFFSETS = 1_000
"""A partition that lags by more is told in offsets, markers among them."""


class Reach(Struct, frozen=True):
    """One partition.

    Attributes:
        place: which one.
        position: what its group reads next; without a committed one where the partition starts.
        known: whether the group has a committed position.
        stable: the last stable offset.
        end: the end.
        lag: records (or offsets) between position and last stable offset.
    """

    place: TopicPartition
    position: int
    known: bool
    stable: int
    end: int
    lag: int

    @property
    def gap(self) -> int:
        """Offsets that open transactions hide."""
        return self.end - self.stable


def reach(log: Log, group: str, topics: Iterable[TopicInfo]) -> dict[TopicPartition, Reach]:
    """Every partition of the topics, as the group stands in it.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    places = [TopicPartition(each.name, n) for each in topics for n in range(each.partitions)]
    known = log.last_committed(group, places)
    found = {}
    for place in places:
        committed = known.get(place)
        stable, end = log.end(place, stable=True), log.end(place, stable=False)
        start = log.start(place)
        if start is None or stable is None or end is None:
            raise Unreachable(f"{place.topic}-{place.partition} does not answer (no leader)")
        position = start if committed is None else max(committed.position, start)
        lag = max(stable - position, 0)
        found[place] = Reach(place, position, committed is not None, stable, max(stable, end), lag)
    return _counted(log, found)


def standing(before: Reach, now: Reach) -> bool:
    """Whether there were records to read at both looks, and nobody has read one."""
    return bool(now.lag and before.lag) and now.position == before.position


def pinned(before: Reach, now: Reach) -> bool:
    """Whether the same open transaction hid the end at both looks."""
    return bool(now.gap and before.gap) and now.stable == before.stable


def _counted(log: Log, found: dict[TopicPartition, Reach]) -> dict[TopicPartition, Reach]:
    """The same, short lags counted by their records."""
    short = {
        place: (each.position, each.stable)
        for place, each in found.items()
        if 0 < each.lag <= COUNTED_OFFSETS
    }
    counts = dict.fromkeys(short, 0)
    try:
        for records in read_once(log, short):
            for record in records:
                counts[TopicPartition(record.topic, record.partition)] += 1
    except PositionLost:
        return found  # purged meanwhile: offsets must do
    return found | {
        place: structs.replace(found[place], lag=count) for place, count in counts.items()
    }
