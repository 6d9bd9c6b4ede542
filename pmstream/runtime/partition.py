"""One owned inbox partition: what it has read, what it did since the last commit, its store.

Rule: until a commit is acknowledged everything lives in an overlay that can be thrown away; a
failing, retrying, waiting or parked instance holds back itself only.
"""

from pmstream.core import engine
from pmstream.core.engine import Arrived, Due, Halt, Outcome, Step, Take, Waiting
from pmstream.core.instance import FormatError
from pmstream.errors import StateNewer
from pmstream.runtime.changelog import Checkpoint, CommitRecord, Seen, dump_checkpoint, with_due
from pmstream.runtime.commit import Out
from pmstream.runtime.dues import Dues
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.overlay import Overlay
from pmstream.runtime.queue import Queue
from pmstream.runtime.setup import Setup
from pmstream.runtime.share import Position, Share, following
from pmstream.runtime.store import BY_CLOCK_DUE, TIMED_DUE, Store, StoreCorrupt, split_due_key

DRAIN_LIMIT = 100
"""Backlog entries of one instance in one batch, so that a long backlog starves nobody."""


class Partition:
    """A partition that runs: its instances, its records in hand, its part of the batch.

    Args:
        number: of the inbox partition.
        setup: shared by the worker's partitions.
        store: restored to `checkpoint`.
        position: the inbox offset to handle next.
        ends: of inbox and replies, seen as it begins to run.

    Attributes:
        position: as committed; what is in hand lies above it.
        replies: likewise, in the replies.
        inbox_live, replies_live: whether what stood there when it began to run has been taken.
        handled: inputs since the last commit.
        size: bytes to produce, roughly, since the last commit.
        halt: why the process manager is to stop, once an input said so.
        damaged: what is wrong with the store, once that was seen: nothing here counts any more.
        refused: why this code may not go on here (newer code wrote the state), once that was seen.
        blocked: process UUID of the instance whose full backlog holds the partition back.
        run: records in a row, up to here, that could not be decoded.
        counts: inputs by outcome, since it runs.
        duplicates, ignored, dead_letters, odd_replies: likewise, of records that are no input.
    """

    def __init__(
        self,
        number: int,
        setup: Setup,
        store: Store,
        checkpoint: Checkpoint,
        position: int,
        ends: tuple[int, int] = (0, 0),
    ) -> None:
        self.number, self.store, self._setup = number, store, setup
        self.checkpoint, self.position = checkpoint, position
        self.replies = checkpoint.last.replies if checkpoint.last is not None else 0
        self.source = TopicPartition(setup.input, number)
        self._queue, self._replies = Queue(position), Queue(self.replies)
        self._overlay = Overlay(store, setup.room, setup.idle_ms)
        self._clocked, self._timed = Dues(store, BY_CLOCK_DUE), Dues(store, TIMED_DUE)
        self.inbox_live, self.replies_live = False, setup.read_reply is None
        self.inbox_end, self.replies_end = ends
        self.blocked = self.damaged = self.refused = ""
        self._reply_headers = setup.reply_headers(number)
        self.counts: dict[Outcome, int] = dict.fromkeys(Outcome, 0)
        self.duplicates = self.ignored = self.dead_letters = self.odd_replies = 0
        self._forget()

    def _forget(self) -> None:
        """Begins an empty batch."""
        last = self.checkpoint.last
        self._seen: Seen = dict(last.seen) if last is not None else {}
        self.run = last.run if last is not None else 0
        self.handled = self.size = 0
        self._queue.back()
        self._replies.back()
        self._overlay.forget()
        self._hints: dict[bytes, bytes | None] = {}
        self._out: list[Out] = []
        self._changes: dict[bytes, bytes | None] = {}
        self.halt: Halt | None = None

    # What is at hand

    @property
    def waiting(self) -> int:
        """Records in hand that are not handled yet."""
        return self._queue.left

    def take(self, record: Record) -> None:
        """Puts a gathered record behind the others."""
        self._queue.put(record)

    def take_reply(self, record: Record) -> None:
        """Puts a reply behind the others."""
        self._replies.put(record)

    def due_in(self, now: int) -> int | None:
        """Milliseconds until something is due by itself; None when nothing is."""
        times = [self._clocked.next, self._timed.next if self._may_be_due() else None]
        coming = [each for each in times if each is not None]
        return max(min(coming) - now, 0) if coming else None

    def _may_be_due(self) -> bool:
        """Whether timers and deadlines may go by the clock: no answer to them lies in the log.

        So they may in a partition that a full backlog blocks: a deadline may be what frees it.
        """
        caught_up = self.inbox_live and not self._queue.left
        return self._is_answered() and (caught_up or bool(self.blocked))

    def _is_answered(self) -> bool:
        return self.replies_live and not self._replies.left

    # Handling

    def process(self, now: int, room: int) -> None:
        """Handles what is due, replies, then records, up to `room` inputs or until one halts."""
        try:
            self._process(now, room)
        except StoreCorrupt as error:
            self.damaged = str(error)
        except (StateNewer, FormatError) as error:
            self.refused = str(error)
            self.rollback()

    def _process(self, now: int, room: int) -> None:
        self._process_due(self._clocked, now, now, room)
        self._process_replies(now, room)
        self._unblock()
        queue, timed = self._queue, self._timed
        while queue.left and self._has_room(room):
            record = queue.head
            due = timed.next
            if due is not None and due <= self._setup.time_of(record) and self._is_answered():
                self._process_due(timed, min(record.timestamp, now), now, room)
            if not self._has_room(room) or not self._process_record(record, now):
                break
            queue.step()
            self.handled += 1
        if self._may_be_due():
            self._process_due(self._timed, now, now, room)

    def _has_room(self, room: int) -> bool:
        return self.handled < room and self.halt is None

    def _process_due(self, dues: Dues, until: int, now: int, room: int) -> None:
        """Works on what was due until that time."""
        while dues.next is not None and dues.next <= until and self._has_room(room):
            for key in dues.take(until, room - self.handled):
                uuid, coming = split_due_key(key)
                if not self._step(uuid, Due(coming.kind, uuid, coming.name), now):
                    dues.back_to(key)
                    return
                self._hints[key] = None
                self.handled += 1

    def _process_replies(self, now: int, room: int) -> None:
        read = self._setup.read_reply
        while read is not None and self._replies.left and self._has_room(room):
            found = read(self._replies.head, self.number)
            if isinstance(found, Out):
                self._out.append(found)
            elif found is None:
                self.odd_replies += 1
            elif not self._step(*found, now):
                return
            self._replies.step()
            self.handled += 1

    def _process_record(self, record: Record, now: int) -> bool:
        """Handles one record; False when it has to wait where it is."""
        found = self._setup.read(record, self.number, self)
        if not isinstance(found, Arrived):
            self.halt = found if isinstance(found, Halt) else None
            if isinstance(found, Out):
                self._out.append(found)
                self.dead_letters += 1
            self.ignored += found is None
            return self.halt is None
        routed, uuid = found.routed, found.routed.process_uuid
        source = f"{routed.topic}-{routed.partition}"
        mark, seen = (routed.offset, routed.index), self._seen.get(source)
        if seen is not None and mark <= seen:
            self.duplicates += 1
            return True
        if self._is_full(uuid, routed.route):
            self.blocked = uuid
            return False
        if not self._step(uuid, found, now):
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
            entry = self._overlay.entry(uuid, step.take) if step.take is not None else None
            if entry is None or (drained >= DRAIN_LIMIT and step.take is Take.FIRST):
                return True  # a backlog that is left is a due entry: it goes on in the next batch
            input = Waiting(entry)
            drained += 1

    def _advance(self, uuid: str, input: engine.Input, now: int) -> Step:
        setup = self._setup
        if setup.guard is not None:
            setup.guard.begin()
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
            headers = command.headers + self._reply_headers
            self._out.append(Out(command.topic, command.key, command.value, headers))
            self.size += len(command.value)

    def rest(self, now: int) -> None:
        """Nothing to do: instances that nothing has touched for long leave memory."""
        self._overlay.drop_idle(now)

    # A full backlog

    def _is_full(self, uuid: str, route: str) -> bool:
        limit = self._setup.backlog_limit
        return self._overlay.waiting(uuid, route) >= limit

    def _unblock(self) -> None:
        if self.blocked and not self._is_full(self.blocked, ""):
            self.blocked = ""

    # The commit

    @property
    def touched(self) -> bool:
        """Whether there is anything to commit."""
        taken = self._queue.taken or self._replies.taken
        return bool(taken or self._overlay.touched or self._hints)

    def stage(self, generation: int) -> Share:
        """Encodes all that happened since the last commit."""
        names, number = self._setup.names, self.number
        self._changes = changes = self._overlay.changes()
        seen, replies = self._seen, self._replies.position
        position = Position(self._queue.position, generation, seen, replies, self.run)
        record = following(self.checkpoint.last, position, self._setup)
        outs = [Out(names.changelog, key, value, (), number) for key, value in changes.items()]
        return Share(self, names.changelog, record, self._out, outs)

    def acknowledged(self, record: CommitRecord, offset: int) -> None:
        """The transaction is committed: store, checkpoint and cache follow."""
        now = self._setup.clock.now()
        self.checkpoint = Checkpoint(offset + 1, record, now)
        # A hint that was worked on goes, unless the instance calls for the very same one again.
        local = {**self._hints, **with_due(self._changes)}
        try:
            self.store.write(local, dump_checkpoint(self.checkpoint))
            if len(local) > len(self._changes):
                written = [key for key, value in local.items() if value == b""]
                self._clocked.committed(written)
                self._timed.committed(written)
        except StoreCorrupt as error:
            self.damaged = str(error)  # the changelog has it all
        self._overlay.publish(self._changes, now)
        self._queue.commit()
        self._replies.commit()
        self.position, self.replies = record.source, record.replies
        halt = self.halt
        self._forget()
        self.halt = halt

    def rollback(self) -> None:
        """Nothing since the last commit counts: it will be handled again."""
        self._forget()
        try:
            self._clocked.again()
            self._timed.again()
        except StoreCorrupt as error:
            self.damaged = str(error)
