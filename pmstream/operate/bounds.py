"""A topic of a process manager that has to be there, and how far its partitions reach."""

from collections.abc import Mapping

from pmstream.errors import ConfigurationError, Unreachable
from pmstream.runtime.log import Log, TopicInfo, TopicPartition


def own_topic(log: Log, topic: str) -> TopicInfo:
    """One of a process manager's own topics.

    Raises:
        ConfigurationError: there is none: the names are wrong, or nobody has made it yet.
        Unavailable: the cluster does not answer.
    """
    info = log.topics().get(topic)
    if info is None:
        raise ConfigurationError(
            f"there is no topic {topic}: correct the names of app and process manager, or run "
            "`pmstream topics ensure`"
        )
    return info


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
