"""How far the partitions of a topic reach."""

from collections.abc import Mapping

from pmstream.errors import Unreachable
from pmstream.runtime.log import Log, TopicInfo, TopicPartition


def records(log: Log, topic: TopicInfo) -> int:
    """How many offsets the topic holds; markers and aborted records count, too.

    Raises:
        Unreachable: a partition does not answer.
    """
    return sum(end - start for start, end in bounds(log, topic).values())


def bounds(log: Log, topic: TopicInfo) -> Mapping[TopicPartition, tuple[int, int]]:
    """Start and last stable offset of each partition. Raises Unreachable."""
    found = {}
    for number in range(topic.partitions):
        place = TopicPartition(topic.name, number)
        start, end = log.start(place), log.end(place, stable=True)
        if start is None or end is None:
            raise Unreachable(f"{topic.name}-{number} does not answer (no leader): try again")
        found[place] = (start, max(start, end))
    return found
