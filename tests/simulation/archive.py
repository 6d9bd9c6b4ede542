"""All that ever was committed, as it is decided, and what must hold of every transaction.

Rule: it looks into the brokers of the memory log, and knows nothing of workers: purge and
compaction take nothing from it.
"""

from bisect import bisect_left, insort

from pmstream.app import Names
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, load_commit
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Committed, Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.memory.partition import Transaction
from tests.simulation.book import Book, Violation, demand
from tests.simulation.desk import Desk

__all__ = ["Archive", "Violation", "demand"]


def _offset(record: Record) -> int:
    return record.offset


class Archive:
    """Every committed record, by partition, in order; checked at each commit.

    Attributes:
        records: of transactions that were decided to count, markers written or not.
        last: of each changelog partition, the last commit record.
    """

    def __init__(self, log: MemoryLog, names: Names, clock: Clock) -> None:
        self.records: dict[TopicPartition, list[Record]] = {}
        self.last: dict[int, CommitRecord] = {}
        self.commits = self.aborts = 0
        self._names = names
        self.book, self.desk = Book(log, names, clock), Desk(log, names)
        self._owners: dict[tuple[int, int], str] = {}
        broker = log._broker
        decide = broker.decide

        def decided(transaction: Transaction, *, commit: bool) -> None:
            if transaction.verdict is None:
                self.aborts += not commit
                if commit:
                    self._committed(transaction)
            decide(transaction, commit=commit)

        broker.decide = decided  # type: ignore[method-assign]

    def topic(self, name: str) -> dict[int, list[Record]]:
        """The records of a topic, by partition."""
        found = self.records.items()
        return {place.partition: records for place, records in found if place.topic == name}

    def folded(self, partition: int, until: int) -> dict[bytes, bytes]:
        """What a store must hold that has read the changelog up to `until`."""
        found: dict[bytes, bytes] = {}
        for record in self.records.get(TopicPartition(self._names.changelog, partition), ()):
            if record.offset >= until:
                break
            if record.key == COMMIT_KEY or record.key is None:
                continue
            if record.value is None:
                found.pop(record.key, None)
            else:
                found[record.key] = record.value
        return found

    def _committed(self, transaction: Transaction) -> None:
        self.commits += 1
        written: dict[TopicPartition, list[Record]] = {}
        for place, log in transaction.partitions.items():
            first = bisect_left(log._offsets, log._open[transaction])
            pairs = zip(log._records[first:], log._transactions[first:], strict=True)
            records = [each for each, of in pairs if each is not None and of is transaction]
            written[place] = records
            for record in records:
                insort(self.records.setdefault(place, []), record, key=_offset)
        names, touched = self._names, set()
        for place, records in written.items():
            if place.topic == names.changelog:
                touched.add(place.partition)
                last = self.last.get(place.partition)
                self._check_changelog(transaction, place.partition, records)
                self.desk.committed(written, place.partition, self.last[place.partition], last)
            elif place.topic == names.inbox:
                sent = [key for key in transaction.offsets if key[0] == names.group("router")]
                demand(sent, f"I3: {transaction.transactional_id} routed without an offset")
        if touched:
            self.book.committed(written, {each: self.last[each] for each in touched})
        moved = {
            place.partition
            for group, place in transaction.offsets
            if group == names.group("instances")
        }
        demand(moved == touched, lambda: f"I3: positions of {moved}, changelogs of {touched}")

    def _check_changelog(self, of: Transaction, partition: int, records: list[Record]) -> None:
        """I2, I3, I6."""
        names, who = self._names, of.transactional_id
        keys = [record.key for record in records]
        demand(
            keys[-1:] == [COMMIT_KEY] and keys.count(COMMIT_KEY) == 1,
            lambda: f"I2: {who} committed {keys} into changelog {partition}",
        )
        new, last = load_commit(records[-1].value), self.last.get(partition)
        demand(
            new.sequence == (last.sequence + 1 if last is not None else 1),
            lambda: f"I2: {who} committed sequence {new.sequence} after {last} into {partition}",
        )
        demand(last is None or new.source >= last.source, "a position went back")
        demand(last is None or new.replies >= last.replies, "a position in the replies went back")
        demand(new.owner == who, lambda: f"I2: {who} committed in the name of {new.owner}")
        inbox = names.group("instances"), TopicPartition(names.inbox, partition)
        _, moved = of.offsets.get(inbox, (0, None))
        expected = Committed(new.source, str(new.sequence))
        demand(moved == expected, lambda: f"I3: {who} moved {partition} to {moved}: {expected}")
        owner = self._owners.setdefault((partition, new.generation), who)
        demand(
            owner == who,
            lambda: f"I6: {owner} and {who} committed {partition} in generation {new.generation}",
        )
        self.last[partition] = new
