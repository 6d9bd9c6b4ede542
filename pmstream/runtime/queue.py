"""Records of one partition in hand, from its committed position on."""

from collections.abc import Iterator

from pmstream.runtime.log import Record


class Queue:
    """Records in order; those before the cursor are taken, but not committed.

    Args:
        position: the committed one.
    """

    def __init__(self, position: int) -> None:
        self._records: list[Record] = []
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

    def ahead(self) -> Iterator[Record]:
        """Those that are not taken yet; one is taken when the next is asked for."""
        while self._cursor < len(self._records):
            yield self._records[self._cursor]
            self._cursor += 1

    def back(self) -> None:
        """Nothing that is not committed is taken."""
        self._cursor = 0

    def commit(self) -> None:
        """What is taken is committed."""
        self._committed = self.position
        del self._records[: self._cursor]
        self._cursor = 0
