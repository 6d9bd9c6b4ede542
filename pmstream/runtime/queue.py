"""Records of one partition in hand, from its committed position on.

Rule: what was read ahead of its turn saves its turn the time, and is nothing else; what the
author's code may have had in its hands is read anew.
"""

from collections.abc import Callable, Iterator
from typing import Any

from pmstream.runtime.log import Record

LARGE_BYTES = 10_000
"""A record of more is read in its turn only: what is read ahead has to fit beside the records."""


class Queue:
    """Records in order; those before the cursor are taken, but not committed.

    Args:
        position: the committed one.
    """

    def __init__(self, position: int) -> None:
        self._records: list[Record] = []
        self._early: list[Any] = []  # of the first so many records; None is: not read ahead
        self._committed = position
        self._cursor = 0

    @property
    def left(self) -> int:
        """How many are not taken yet."""
        return len(self._records) - self._cursor

    @property
    def taken(self) -> int:
        """How many are taken."""
        return self._cursor

    @property
    def head(self) -> Record:
        """The first that is not taken."""
        return self._records[self._cursor]

    @property
    def position(self) -> int:
        """What is to be committed with those that are taken."""
        return self._records[self._cursor - 1].offset + 1 if self._cursor else self._committed

    def put(self, record: Record) -> None:
        """Puts a record behind the others, unless it stands before what is expected."""
        expected = self._records[-1].offset + 1 if self._records else self._committed
        if record.offset >= expected:
            self._records.append(record)

    def step(self) -> None:
        """Takes the head."""
        self._cursor += 1

    def ahead(self) -> Iterator[tuple[Record, Any]]:
        """Those that are not taken yet, each with what `read_ahead` found, or None.

        One is taken when the next is asked for.
        """
        while self._cursor < len(self._records):
            at, early = self._cursor, self._early
            yield self._records[at], early[at] if at < len(early) else None
            self._cursor += 1

    def read_ahead(self, read: Callable[[Record], Any], is_time: Callable[[], bool]) -> bool:
        """Reads records before their turn, in order, for as long as there is time.

        Args:
            read: what a record is; None is: its turn will tell.
            is_time: asked before each.

        Returns:
            Whether some are left that were not read ahead.
        """
        records, early = self._records, self._early
        early += [None] * (self._cursor - len(early))
        while len(early) < len(records) and is_time():
            record = records[len(early)]
            is_large = record.value is not None and len(record.value) > LARGE_BYTES
            early.append(None if is_large else read(record))
        return len(early) < len(records)

    def back(self) -> None:
        """Nothing that is not committed is taken."""
        taken = min(self._cursor, len(self._early))
        self._early[:taken] = [None] * taken
        self._cursor = 0

    def commit(self) -> None:
        """What is taken is committed."""
        self._committed = self.position
        del self._records[: self._cursor], self._early[: self._cursor]
        self._cursor = 0
