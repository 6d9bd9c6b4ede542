"""Reads what else feeds the partitions of a worker: its replies, its orders."""

from collections.abc import Callable, Mapping, Sequence

from pmstream.runtime.feed import Feed
from pmstream.runtime.follow import Follower
from pmstream.runtime.log import Log
from pmstream.runtime.partition import Partition

_AT_ONCE = 2_000

FeedOf = Callable[[Partition], Feed]
"""Which feed of a partition a topic is."""


class Feeds:
    """Follows topics in the partitions that run here.

    Args:
        log: the cluster.
        topics: each topic, and which feed of a partition it is.
    """

    def __init__(self, log: Log, topics: Mapping[str, FeedOf]) -> None:
        self._feed_of = dict(topics)
        self._followers = {topic: Follower(log, topic) for topic in topics}

    def turn(self, parts: Sequence[Partition]) -> None:
        """Puts what is at hand into the partitions' feeds."""
        for topic, follower in self._followers.items():
            feeds = {each.number: self._feed_of[topic](each) for each in parts}
            follower.follow({number: feed.position for number, feed in feeds.items()})
            records = follower.read(_AT_ONCE)
            for record in records:
                if record.partition in feeds:
                    feeds[record.partition].put(record)
            for number, feed in feeds.items():
                feed.quiet = not records
                if not feed.live:
                    position = follower.position(number)
                    feed.live = position is not None and position >= feed.end

    def leave(self, number: int) -> None:
        """Forgets a partition: it will be read from a position that is given anew."""
        for follower in self._followers.values():
            follower.leave(number)

    def close(self) -> None:
        """Frees the readers."""
        for follower in self._followers.values():
            follower.close()
