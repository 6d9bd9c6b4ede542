"""What feeds a partition beside its inbox: its replies, and its orders.

No group subscribes to them; how far they were taken stands in the commit record.
"""

from msgspec import Struct

from pmstream.runtime.log import Record
from pmstream.runtime.queue import Queue


class Ends(Struct, frozen=True):
    """Ends of a partition's topics, seen as it begins to run."""

    inbox: int = 0
    replies: int = 0
    orders: int = 0


class Feed:
    """One partition of such a topic.

    Args:
        position: the committed one.
        end: of the partition, seen as it begins to run.

    Attributes:
        position: as committed; what is in hand lies above it.
        end: likewise as given.
        live: whether what stood there then has been read.
        quiet: whether nothing came at the last look.
    """

    def __init__(self, position: int, end: int) -> None:
        self.position, self.end = position, end
        self.live, self.quiet = position >= end, False
        self._queue = Queue(position)

    @property
    def left(self) -> int:
        """Records in hand that are not taken yet."""
        return self._queue.left

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._queue.taken

    @property
    def is_answered(self) -> bool:
        """Whether all that stood there when the partition began to run has been taken."""
        return self.live and not self._queue.left

    @property
    def head(self) -> Record:
        """The first that is not taken."""
        return self._queue.head

    @property
    def following(self) -> int:
        """The position that is to be committed with those that are taken."""
        return self._queue.position

    def put(self, record: Record) -> None:
        """Puts a record behind the others."""
        self._queue.put(record)

    def step(self) -> None:
        """Takes the head."""
        self._queue.step()

    def back(self) -> None:
        """Nothing that is not committed is taken."""
        self._queue.back()

    def commit(self) -> None:
        """What is taken is committed."""
        self._queue.commit()
        self.position = self._queue.position
