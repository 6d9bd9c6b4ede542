"""One partition of the memory log: records, control markers, and what of them may be seen."""

from bisect import bisect_left

from pmstream.runtime.log import Committed, Headers, Record, TopicPartition


class Transaction:
    """What one `begin` opened, as the brokers see it.

    Attributes:
        transactional_id: who opened it.
        started: monotonic seconds of its first record or offset.
        verdict: True once a commit, False once an abort was decided, None before.
        ended: whether its markers are written; until then readers stop in front of it.
        partitions: what it wrote to.
        offsets: group and partition to (order, position): what it will commit.
    """

    __slots__ = ("ended", "offsets", "partitions", "started", "transactional_id", "verdict")

    def __init__(self, transactional_id: str, started: float) -> None:
        self.transactional_id, self.started = transactional_id, started
        self.verdict: bool | None = None
        self.ended = False
        self.partitions: dict[TopicPartition, Partition] = {}
        self.offsets: dict[tuple[str, TopicPartition], tuple[int, Committed]] = {}


class Partition:
    """Records in order of their offsets; gaps are what compaction took.

    Attributes:
        where: its name.
        start: low watermark.
        end: high watermark, the offset that the next entry gets.
    """

    __slots__ = ("_offsets", "_open", "_records", "_transactions", "end", "start", "where")

    def __init__(self, where: TopicPartition) -> None:
        self.where = where
        self.start = self.end = 0
        self._offsets: list[int] = []
        self._records: list[Record | None] = []  # None: a control marker
        self._transactions: list[Transaction | None] = []
        self._open: dict[Transaction, int] = {}  # in the order of their first offsets

    @property
    def stable_end(self) -> int:
        """The last stable offset."""
        return next(iter(self._open.values()), self.end)

    def append(
        self,
        timestamp: int,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        transaction: Transaction | None,
    ) -> int:
        """Adds a record; answers its offset."""
        offset = self.end
        topic, number = self.where
        self._add(Record(topic, number, offset, timestamp, key, value, headers), transaction)
        if transaction is not None and transaction not in self._open:
            self._open[transaction] = offset
        return offset

    def mark(self, transaction: Transaction) -> None:
        """Writes the transaction's marker; its records are decided from here on."""
        self._open.pop(transaction, None)
        self._add(None, transaction)

    def read(self, position: int, limit: int, *, committed: bool, into: list[Record]) -> int:
        """Appends up to `limit` records from `position` on; answers the position after them.

        That position has stepped over markers and aborted records wherever no record follows.
        """
        bound = self.stable_end if committed else self.end
        offsets, records, transactions = self._offsets, self._records, self._transactions
        for at in range(bisect_left(offsets, position), len(offsets)):
            if offsets[at] >= bound:
                break
            record, transaction = records[at], transactions[at]
            if record is None:
                continue
            if committed and transaction is not None and not transaction.verdict:
                continue
            if limit <= 0:
                return offsets[at]
            into.append(record)
            limit -= 1
        return max(position, bound)

    def offset_at(self, timestamp: int) -> int:
        """The first offset of that time or later, else the end."""
        for offset, record in zip(self._offsets, self._records, strict=True):
            if record is not None and record.timestamp >= timestamp:
                return offset
        return self.end

    def delete_below(self, position: int) -> None:
        """Moves the low watermark up."""
        self.start = max(self.start, position)
        self._keep([at for at, offset in enumerate(self._offsets) if offset >= self.start])

    def compact(self, tombstones_before: int) -> None:
        """Keeps the newest committed record of each key, below the last stable offset only.

        Args:
            tombstones_before: tombstones older than this (milliseconds) go too, and so do
                markers that no record needs any more.
        """
        bound = self.stable_end
        newest: dict[bytes | None, int] = {}
        for at, offset in enumerate(self._offsets):
            record, transaction = self._records[at], self._transactions[at]
            if offset < bound and record and (transaction is None or transaction.verdict):
                newest[record.key] = at
        self._keep(
            [
                at
                for at in range(len(self._offsets))
                if self._stays(at, bound, newest, tombstones_before)
            ]
        )

    def _stays(
        self, at: int, bound: int, newest: dict[bytes | None, int], tombstones_before: int
    ) -> bool:
        record = self._records[at]
        if self._offsets[at] >= bound:
            return True
        if record is None:
            return False
        if newest.get(record.key) != at:
            return False
        return record.value is not None or record.timestamp >= tombstones_before

    def _add(self, record: Record | None, transaction: Transaction | None) -> None:
        self._offsets.append(self.end)
        self._records.append(record)
        self._transactions.append(transaction)
        self.end += 1

    def _keep(self, indexes: list[int]) -> None:
        self._offsets = [self._offsets[at] for at in indexes]
        self._records = [self._records[at] for at in indexes]
        self._transactions = [self._transactions[at] for at in indexes]
