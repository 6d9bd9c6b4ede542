"""What comes due in one partition by itself, and the hints that call for it.

Rule: a hint that was worked on goes with the commit, unless its instance calls for it again.
"""

from collections.abc import Iterator, Mapping

from pmstream.core.engine import Due
from pmstream.runtime.changelog import with_due
from pmstream.runtime.dues import Dues
from pmstream.runtime.store import BY_CLOCK_DUE, TIMED_DUE, Store, split_due_key


class Agenda:
    """The hints of a store, in the order of their time.

    Attributes:
        clocked: those that go by the clock alone (retries, drains).
        timed: those that wait for all earlier inputs.
    """

    def __init__(self, store: Store) -> None:
        self.clocked, self.timed = Dues(store, BY_CLOCK_DUE), Dues(store, TIMED_DUE)
        self._done: dict[bytes, bytes | None] = {}

    @property
    def worked(self) -> bool:
        """Whether any hint was worked on since the last commit."""
        return bool(self._done)

    def take(self, dues: Dues, until: int, limit: int) -> Iterator[tuple[bytes, Due]]:
        """What was due until that time: its key, and what it says."""
        for key in dues.take(until, limit):
            uuid, coming = split_due_key(key)
            yield key, Due(coming.kind, uuid, coming.name)

    def done(self, key: bytes) -> None:
        """That one was worked on."""
        self._done[key] = None

    def local(self, changes: Mapping[bytes, bytes | None]) -> dict[bytes, bytes | None]:
        """What a commit of these changes writes into the store."""
        return {**self._done, **with_due(changes)}

    def committed(self, local: Mapping[bytes, bytes | None]) -> None:
        """That was written."""
        written = [key for key, value in local.items() if value == b""]
        self.clocked.committed(written)
        self.timed.committed(written)

    def forget(self) -> None:
        """Begins an empty batch."""
        self._done = {}

    def again(self) -> None:
        """Nothing that was taken counts: it will be taken again."""
        self.clocked.again()
        self.timed.again()
