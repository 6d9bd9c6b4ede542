"""One owned inbox partition: what it has read, what it did since the last commit, its store.

Rule: until a commit is acknowledged everything lives in an overlay that can be thrown away; a
failing, retrying, waiting or parked instance holds back itself only.
"""

from collections.abc import Callable, Sequence

from msgspec import Struct

from pmstream.app import Names
from pmstream.core import engine
from pmstream.core.engine import Arrived, Coder, Due, Halt, Outcome, Step, Take, Waiting
from pmstream.core.messages import Routed
from pmstream.core.process import Callbacks
from pmstream.core.routing import CREATING
from pmstream.runtime.changelog import (
    COMMIT_KEY,
    Checkpoint,
    CommitRecord,
    Seen,
    dump_checkpoint,
    dump_commit,
    with_due,
)
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Committed, Record, TopicPartition
from pmstream.runtime.overlay import Overlay
from pmstream.runtime.store import Store, StoreCorrupt, split_due_key

DRAIN_LIMIT = 100
"""Backlog entries of one instance in one batch, so that a long backlog starves nobody."""


class Setup(Struct, frozen=True, kw_only=True):
    """What all partitions of a worker share."""

    names: Names
    callbacks: Callbacks
    coder: Coder
    read: Callable[[Record, int], Routed | Out | None]
    clock: Clock
    owner: str
    version: str
    partitions: int
    backlog_limit: int
    max_state_bytes: int
    cache_bytes: int
    inbox_retention_ms: int


class Partition:
    """A partition that runs: its instances, its records in hand, its part of the batch.

    Args:
        number: of the inbox partition.
        setup: shared by the worker's partitions.
        store: restored to `checkpoint`.
        position: the inbox offset to handle next.

    Attributes:
        position: as committed; what is in hand lies above it.
        handled: inputs since the last commit.
        size: bytes to produce, roughly, since the last commit.
        halt: why the process manager is to stop, once an input said so.
        damaged: what is wrong with the store, once that was seen: nothing here counts any more.
        blocked: process UUID of the instance whose full backlog holds the partition back.
        counts: inputs by outcome, since it runs.
    """

    def __init__(
        self, number: int, setup: Setup, store: Store, checkpoint: Checkpoint, position: int
    ) -> None:
        self.number, self.store, self._setup = number, store, setup
        self.checkpoint, self.position = checkpoint, position
        self.source = TopicPartition(setup.names.inbox, number)
        self._queue: list[Record] = []
        self._overlay = Overlay(store, setup.cache_bytes)
        self._next_due = store.next_due()
        self.blocked = self.damaged = ""
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.duplicates = 0
        self._forget()

    def _forget(self) -> None:
        """Begins an empty batch."""
        last = self.checkpoint.last
        self._seen: Seen = dict(last.seen) if last is not None else {}
        self._cursor = self.handled = self.size = 0
        self._overlay.forget()
        self._hints: dict[bytes, bytes | None] = {}
        self._out: list[Out] = []
        self._changes: dict[bytes, bytes | None] = {}
        self.halt: Halt | None = None

    # What is at hand

    @property
    def waiting(self) -> int:
        """Records in hand that are not handled yet."""
        return len(self._queue) - self._cursor

    def take(self, record: Record) -> None:
        """Puts a gathered record behind the others."""
        expected = self._queue[-1].offset + 1 if self._queue else self.position
        if record.offset >= expected:
            self._queue.append(record)

    def due_in(self, now: int) -> int | None:
        """Milliseconds until something is due by itself; None when nothing is."""
        return None if self._next_due is None else max(self._next_due - now, 0)

    # Handling

    def process(self, now: int, room: int) -> None:
        """Handles due entries, then records, up to `room` inputs or until one halts."""
        try:
            self._process(now, room)
        except StoreCorrupt as error:
            self.damaged = str(error)

    def _process(self, now: int, room: int) -> None:
        self._process_due(now, room)
        self._unblock()
        while self._cursor < len(self._queue) and self.handled < room and not self.halt:
            if not self._process_record(self._queue[self._cursor], now):
                return
            self._cursor += 1
            self.handled += 1

    def _process_due(self, now: int, room: int) -> None:
        if self._next_due is None or self._next_due > now or self.halt or self.handled >= room:
            return
        self._next_due = None  # looked up again when the batch is committed or thrown away
        for key in self.store.due(now, room - self.handled):
            _, uuid, kind = split_due_key(key)
            if not self._step(uuid, Due(kind), now):
                return
            self._hints[key] = None
            self.handled += 1

    def _process_record(self, record: Record, now: int) -> bool:
        """Handles one record; False when it has to wait where it is."""
        routed = self._setup.read(record, self.number)
        if routed is None:
            return True
        if isinstance(routed, Out):
            self._out.append(routed)
            return True
        source = f"{routed.topic}-{routed.partition}"
        mark = (routed.offset, routed.index)
        if mark <= self._seen.get(source, (-1, 0)):
            self.duplicates += 1
            return True
        if self._is_full(routed):
            self.blocked = routed.process_uuid
            return False
        if not self._step(routed.process_uuid, Arrived(routed), now):
            return False
        self._seen[source] = mark
        return True

    def _step(self, uuid: str, input: engine.Input, now: int) -> bool:
        """Runs an input, then what of the backlog follows from it; False when it must not count."""
        drained = 0
        while True:
            step = self._advance(uuid, input, now)
            if step.halt is not None:
                self.halt = step.halt
                return drained > 0
            self._absorb(uuid, step)
            entry = self._overlay.entry(uuid, step.take)
            if entry is None or (drained >= DRAIN_LIMIT and step.take is Take.FIRST):
                return True  # a backlog that is left is a due entry: it goes on in the next batch
            input = Waiting(entry)
            drained += 1

    def _advance(self, uuid: str, input: engine.Input, now: int) -> Step:
        setup = self._setup
        return engine.step(
            setup.callbacks,
            self._overlay.get(uuid),
            input,
            now,
            setup.coder,
            setup.max_state_bytes,
        )

    def _absorb(self, uuid: str, step: Step) -> None:
        self._overlay.put(uuid, step)
        self.counts[step.outcome] += 1
        for command in step.commands:
            self._out.append(Out(command.topic, command.key, command.value, command.headers))
            self.size += len(command.value)

    # A full backlog

    def _is_full(self, routed: Routed) -> bool:
        instance = self._overlay.get(routed.process_uuid)
        if instance is None or instance.backlog.size < self._setup.backlog_limit:
            return False
        waits_for_start = instance.work is not None and instance.work.not_started
        return not (waits_for_start and routed.route in CREATING)

    def _unblock(self) -> None:
        if self.blocked:
            instance = self._overlay.get(self.blocked)
            if instance is None or instance.backlog.size < self._setup.backlog_limit:
                self.blocked = ""

    # The commit

    @property
    def touched(self) -> bool:
        """Whether there is anything to commit."""
        return bool(self._cursor or self._overlay.touched or self._hints)

    def stage(self, generation: int) -> "Share":
        """Encodes all that happened since the last commit."""
        names, number = self._setup.names, self.number
        self._changes = changes = self._overlay.changes()
        last = self.checkpoint.last
        record = CommitRecord(
            source=self._queue[self._cursor - 1].offset + 1 if self._cursor else self.position,
            sequence=last.sequence + 1 if last is not None else 1,
            owner=self._setup.owner,
            generation=generation,
            partitions=self._setup.partitions,
            version=self._setup.version,
            time=self._setup.clock.now(),
            seen=self._seen,
        )
        outs = [Out(names.changelog, key, value, (), number) for key, value in changes.items()]
        return Share(self, names.changelog, record, [*self._out, *outs])

    def acknowledged(self, record: CommitRecord, offset: int) -> None:
        """The transaction is committed: store, checkpoint and cache follow."""
        now = self._setup.clock.now()
        self.checkpoint = Checkpoint(offset + 1, record, now)
        # A hint that was worked on goes, unless the instance calls for the very same one again.
        local = {**self._hints, **with_due(self._changes)}
        try:
            self.store.write(local, dump_checkpoint(self.checkpoint))
            if len(local) > len(self._changes):
                self._next_due = self.store.next_due()
        except StoreCorrupt as error:
            self.damaged = str(error)  # the changelog has it all
        self._overlay.publish(self._changes)
        del self._queue[: self._cursor]
        self.position = record.source
        halt = self.halt
        self._forget()
        self.halt = halt

    def rollback(self) -> None:
        """Nothing since the last commit counts: it will be handled again."""
        self._forget()
        try:
            self._next_due = self.store.next_due()
        except StoreCorrupt as error:
            self.damaged = str(error)


class Share:
    """A partition's share of one transaction (`commit.Slice`)."""

    def __init__(
        self, partition: Partition, changelog: str, record: CommitRecord, records: Sequence[Out]
    ) -> None:
        self._partition, self._record = partition, record
        self.source = partition.source
        self.position = Committed(record.source, str(record.sequence))
        self.records = records
        self.commit_record: Out | None = Out(
            changelog, COMMIT_KEY, dump_commit(record), (), partition.number
        )

    def acknowledged(self, offset: int | None) -> None:
        """Passes the acknowledgement on to the partition."""
        assert offset is not None, "a committed transaction without its commit record's offset"
        self._partition.acknowledged(self._record, offset)
