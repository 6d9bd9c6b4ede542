"""The partitions that a worker owns: opened, restored side by side, then running.

One reader reads the changelogs of all partitions that restore; the others keep running meanwhile.
"""

from collections.abc import Callable
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from msgspec import Struct

from pmstream.errors import ConfigurationError, Stopped
from pmstream.runtime.clock import Clock
from pmstream.runtime.feed import Ends
from pmstream.runtime.log import Consumer, Log, Reader, Record, TopicPartition
from pmstream.runtime.log_errors import Again, PositionLost
from pmstream.runtime.partition import Partition
from pmstream.runtime.restore import CHUNK_RECORDS, Restore, Verdict, other_count, other_source
from pmstream.runtime.setup import Setup
from pmstream.runtime.store import Caches, Store, StoreCorrupt
from pmstream.runtime.takeover import Takeover
from pmstream.runtime.trim import trim

_READ_SECONDS = 0.02

Told = Callable[[str, int, str], None]
"""Hears of what is worth a log line: what, which partition, details."""


class Place(Struct, frozen=True, kw_only=True):
    """Where an instances worker keeps its stores, and what they must belong to.

    Attributes:
        directory: of the worker; one folder a partition.
        identity: topic ids and partition count; a store of another identity is emptied.
        delete_retention_ms: how long the changelog keeps tombstones.
        stall_timeout_ms: a restore that does not move for so long is given up.
    """

    directory: Path
    identity: str
    delete_retention_ms: int
    stall_timeout_ms: int


class Owned:
    """An assigned partition: opening, then restoring, then running.

    Attributes:
        number: of the partition.
        store: None until opened.
        restore: None until opened, and once it runs.
        running: None until it is whole.
        paused: whether the consumer is paused because of a full backlog.
        flush_at, look_at, purge_at: when to flush the store, to look for a pinned inbox, and to
            purge the inbox.
        stable: the inbox's LSO at the last look, if it stood below the end.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.store: Store | None = None
        self.restore: Restore | None = None
        self.running: Partition | None = None
        self.paused = False
        self.flush_at = self.look_at = self.purge_at = 0.0
        self.stable: int | None = None

    def reset(self) -> None:
        """Back to restoring, in place: what is cached and in hand is dropped, the store stays."""
        self.running = self.restore = None
        self.paused = False


class Restores:
    """Opens and restores partitions.

    Args:
        log: for readers and ends.
        setup: what partitions share.
        place: the stores.
        takeover: frees a changelog from a dead owner.
        told: hears of what is worth a log line.

    Attributes:
        flows: whether the last turn read something: the next chunk should not wait.
    """

    def __init__(
        self, log: Log, setup: Setup, place: Place, takeover: Takeover, told: Told
    ) -> None:
        self._log, self._setup, self._place = log, setup, place
        self._takeover, self._told = takeover, told
        self._clock: Clock = setup.clock
        self._caches = Caches()
        self._reader: Reader | None = None
        self._reading: set[int] = set()
        self.flows = self._has_read = False

    def turn(self, owned: list[Owned], consumer: Consumer) -> list[Owned]:
        """Moves every restore on.

        Returns:
            Partitions that became whole and run now.
        """
        restoring = [each for each in owned if each.running is None]
        for each in restoring:
            if each.restore is None:
                self._open(each)
        self.flows = bool(restoring or self._reading) and self._read(restoring)
        done = [each for each in restoring if self._move(each, consumer)]
        self._has_read = self._has_read or self.flows
        if self._has_read and len(done) == len(restoring):
            self._has_read = False
            trim()
        return done

    def close(self) -> None:
        """Frees the reader."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self, owned: Owned) -> None:
        number, count = owned.number, self._setup.partitions
        if number >= count:
            raise Stopped(
                f"{self._setup.input} has grown to {number + 1} partitions or more, the changelog "
                f"has {count}: partitions cannot be added, because processes would be looked for "
                "where their state is not; `pmstream topics check` tells more"
            )
        if owned.store is None:
            folder = self._place.directory / str(number)
            owned.store = Store(folder, self._place.identity, self._caches)
            if owned.store.wiped:
                self._told("store emptied", number, owned.store.wiped)
        names = self._setup.names
        owned.restore = Restore(
            TopicPartition(self._setup.input, number),
            TopicPartition(names.changelog, number),
            owned.store,
            self._clock,
            self._place.delete_retention_ms,
            self._place.stall_timeout_ms,
            self._setup.direct,
        )
        self._reading.discard(number)
        self._told("restoring", number, f"from {owned.restore.checkpoint.next}")
        # It would be found by waiting, too, but a second later.
        self._takeover.absent(owned.restore.changelog, names.group("instances"))

    def _read(self, restoring: list[Owned]) -> bool:
        """Applies the next chunk of all changelogs that are wanted; whether there was one."""
        wanted = {
            each.number: each.restore
            for each in restoring
            if each.restore is not None and each.restore.reading
        }
        if self._reader is None:
            self._reader = self._log.reader(bare=True)
        if wanted.keys() != self._reading:
            self._reader.assign({each.changelog: each.checkpoint.next for each in wanted.values()})
            self._reading = set(wanted)
        if not wanted:
            return False
        try:
            records = self._reader.read(CHUNK_RECORDS, _READ_SECONDS)
        except PositionLost as error:
            wanted[error.where[1]].start_again(str(error))
            self._reading = set()
            return False
        chunks: dict[int, list[Record]] = {}
        for number, run in groupby(records, attrgetter("partition")):
            chunks.setdefault(number, []).extend(run)
        for number, chunk in chunks.items():
            if number not in wanted:
                continue
            try:
                wanted[number].apply(chunk)
            except StoreCorrupt as error:
                wanted[number].start_again(str(error))
                self._reading = set()  # else the reader goes on in the middle
        return bool(records)

    def _move(self, owned: Owned, consumer: Consumer) -> bool:
        restore = owned.restore
        if restore is None:
            return False
        read_to = None
        if self._reader is not None and owned.number in self._reading:
            read_to = self._reader.position(restore.changelog)
        verdict = restore.turn(consumer, self._log, read_to)
        if restore.emptied:
            self._told("store emptied", owned.number, restore.emptied)
            restore.emptied = ""
        if verdict is Verdict.STALLED:
            last = restore.checkpoint.last
            self._takeover.changelog(restore.changelog, last.owner if last else None)
        return verdict is Verdict.DONE and self._run(owned, restore, consumer)

    def _run(self, owned: Owned, restore: Restore, consumer: Consumer) -> bool:
        source, store = restore.source, owned.store
        last, partitions = restore.checkpoint.last, self._setup.partitions
        if last is not None and last.source_id != self._setup.source_id:
            raise Stopped(other_source(source, last.source_id, self._setup.source_id))
        start = self._log.start(source)
        if start is not None and start > restore.position:
            if restore.doubt():
                return False
            raise Stopped(
                f"{source.topic}-{source.partition}: position {restore.position} is no longer "
                f"retained, the log starts at {start}: events are missing; state is kept; decide "
                "what they were, then set the group's position"
            )
        if last is not None and last.partitions != partitions:
            raise ConfigurationError(
                other_count(source.topic, partitions, owned.number, last.partitions)
            )
        assert store is not None, "a restore without a store"
        ends = self._ends(source)
        if ends is None:
            return False  # no leader: the next turn asks again
        try:
            running = Partition(
                owned.number, self._setup, store, restore.checkpoint, restore.position, ends
            )
        except StoreCorrupt as error:
            restore.start_again(str(error))
            return False
        try:
            consumer.seek(source, restore.position)
            consumer.resume([source])
        except Again:
            return False  # no leader yet: the next turn tries again
        owned.running, owned.restore = running, None
        self._told("running", owned.number, f"{restore.records} records restored")
        self._free_previous(restore)
        return True

    def _ends(self, source: TopicPartition) -> Ends | None:
        """Ends of its topics: what stands before them comes before any deadline."""
        names, number = self._setup.names, source.partition
        places = [source, TopicPartition(names.orders, number)]
        if self._setup.read_reply is not None:
            places.append(TopicPartition(names.replies, number))
        ends = [self._log.end(each, stable=False) for each in places]
        inbox, orders, replies = (*ends, 0)[:3]
        if inbox is None or orders is None or replies is None:
            return None
        return Ends(inbox=inbox, replies=replies, orders=orders)

    def _free_previous(self, restore: Restore) -> None:
        """Ends what a dead previous owner may have open in command topics (protocol §4 b)."""
        last = restore.checkpoint.last
        if last is not None and last.owner != self._setup.owner:
            self._takeover.end_absent([last.owner], self._setup.names.group("instances"))
