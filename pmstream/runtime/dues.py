"""Due hints of one kind in a store: what comes due next, and when.

Rule: a hint is only a hint; the instance is asked. One that was worked on goes with the commit.
"""

from collections.abc import Iterable

from pmstream.runtime.store import Store, due_of


class Dues:
    """The hints under one prefix, in the order of their time.

    What was worked on leaves tombstones, which a search from the start would step over again and
    again; so it begins where the last one ended.

    Args:
        store: that holds them.
        prefix: `BY_CLOCK_DUE` or `TIMED_DUE`.

    Attributes:
        next: time of the earliest hint not yet taken in this batch, milliseconds since the epoch;
            None when there is none.
    """

    def __init__(self, store: Store, prefix: bytes) -> None:
        self._store, self._end = store, prefix + b"\xff"
        self._low = self._at = prefix
        self.next = self._look()

    def take(self, until: int, limit: int) -> list[bytes]:
        """Keys up to and including the time `until`, oldest first; each once in a batch."""
        high = self._end[:1] + (until + 1).to_bytes(8, "big")
        found = [key for key, _ in self._store.scan(self._at, high, limit)]
        if found:
            self._at = found[-1] + b"\0"
        self.next = self._look() if len(found) == limit else self._look_from(high)
        return found

    def back_to(self, key: bytes) -> None:
        """That one, which was taken, was not worked on."""
        self._at = key

    def committed(self, written: Iterable[bytes]) -> None:
        """What was taken is gone from the store; these keys were written."""
        self._low = min([self._at, *(key for key in written if key[:1] == self._end[:1])])
        self.again()

    def again(self) -> None:
        """Nothing that was taken counts: it will be taken again."""
        self._at = self._low
        self.next = self._look()

    def _look(self) -> int | None:
        return self._look_from(self._at)

    def _look_from(self, low: bytes) -> int | None:
        for key, _ in self._store.scan(low, self._end, 1):
            return due_of(key)
        return None
