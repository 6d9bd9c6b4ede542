"""One owned inbox partition: what it has read, what it did since the last commit, its store.

Rule: until a commit is acknowledged everything lives in an overlay that can be thrown away; a
failing, retrying, waiting or parked instance holds back itself only.
"""

from collections.abc import Callable, Mapping
from functools import partial

from pmstream.core.engine import Arrived, Halt, Order, Outcome
from pmstream.core.instance import FormatError, Instance
from pmstream.core.waiting import behind
from pmstream.errors import StateNewer
from pmstream.runtime.agenda import Agenda
from pmstream.runtime.batch import Batch
from pmstream.runtime.changelog import Checkpoint, CommitRecord, Seen, dump_checkpoint
from pmstream.runtime.commit import Out
from pmstream.runtime.desk import Desk
from pmstream.runtime.dues import Dues
from pmstream.runtime.feed import Ends, Feed
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.queue import Queue
from pmstream.runtime.reading import Early
from pmstream.runtime.setup import Setup
from pmstream.runtime.share import Position, Share, following
from pmstream.runtime.store import Store, StoreCorrupt


class Partition:
    """A partition that runs: its instances, its records in hand, its part of the batch.

    Args:
        number: of the inbox partition.
        setup: shared by the worker's partitions.
        store: restored to `checkpoint`.
        position: the inbox offset to handle next.
        ends: of its topics, seen as it begins to run.

    Attributes:
        position: as committed; what is in hand lies above it.
        replies, orders: what else feeds it.
        inbox_live: whether what stood there when it began to run has been taken.
        handled: inputs since the last commit.
        damaged: what is wrong with the store, once that was seen: nothing here counts any more.
        refused: why this code may not go on here (newer code wrote the state), once that was seen.
        blocked: process UUID of the instance whose full backlog holds the partition back.
        run: records in a row, up to here, that could not be decoded.
        duplicates, ignored, dead_letters, odd_replies: records that are no input, since it runs.
    """

    def __init__(
        self,
        number: int,
        setup: Setup,
        store: Store,
        checkpoint: Checkpoint,
        position: int,
        ends: Ends,
    ) -> None:
        self.number, self.store, self._setup = number, store, setup
        self.checkpoint, self.position, last = checkpoint, position, checkpoint.last
        self.replies = Feed(last.replies if last is not None else 0, ends.replies)
        self.orders = Desk(number, setup, last, ends.orders)
        self.source = TopicPartition(setup.input, number)
        self._queue, self._agenda = Queue(position), Agenda(store)
        self._batch, self._read = Batch(number, setup, store), setup.reader.read
        self.inbox_live, self.inbox_end = False, ends.inbox
        self.blocked = self.damaged = self.refused = ""
        self.duplicates = self.ignored = self.dead_letters = self.odd_replies = 0
        self._forget()

    def _forget(self) -> None:
        """Begins an empty batch."""
        last = self.checkpoint.last
        self._seen: Seen = dict(last.seen) if last is not None else {}
        self.run = last.run if last is not None else 0
        self.handled = 0
        for each in (self._queue, self.replies, self.orders):
            each.back()
        self._batch.begin()
        self._agenda.forget()
        self._changes: dict[bytes, bytes | None] = {}

    @property
    def halt(self) -> Halt | None:
        """Why the process manager is to stop, once an input said so."""
        return self._batch.halt

    @property
    def size(self) -> int:
        """Bytes to produce, roughly, since the last commit."""
        return self._batch.size

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """Inputs by outcome, since it runs."""
        return self._batch.counts

    @property
    def is_held(self) -> bool:
        """Whether what is at hand has to wait."""
        return bool(self.blocked or self.orders.holds)

    def instance(self, uuid: str) -> Instance | None:
        """An instance as the batch leaves it."""
        return self._batch.instances.get(uuid)

    # What is at hand

    @property
    def waiting(self) -> int:
        """Records in hand that are not handled yet."""
        return self._queue.left

    def take(self, record: Record) -> None:
        """Puts a gathered record behind the others."""
        self._queue.put(record)

    def due_in(self, now: int) -> int | None:
        """Milliseconds until something is due by itself; None when nothing is."""
        if self.orders.holds:
            return None
        timed = self._agenda.timed.next if self._may_be_due() else None
        coming = [each for each in (self._agenda.clocked.next, timed) if each is not None]
        return max(min(coming) - now, 0) if coming else None

    def _may_be_due(self) -> bool:
        """Whether timers and deadlines may go by the clock: no answer to them lies in the log.

        So they may in a partition that a full backlog blocks: a deadline may be what frees it.
        """
        caught_up = self.inbox_live and not self._queue.left
        return self._is_answered() and (caught_up or bool(self.blocked))

    def _is_answered(self) -> bool:
        return self.replies.is_answered and self.orders.feed.is_answered

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
        self._process_orders(now, room)
        if self.orders.holds:
            return
        self._process_due(self._agenda.clocked, now, now, room)
        self._process_replies(now, room)
        self._unblock()
        timed = self._agenda.timed
        for record, early in self._queue.ahead():
            due = timed.next
            if due is not None and due <= self._setup.time_of(record) and self._is_answered():
                self._process_due(timed, min(record.timestamp, now), now, room)
            if not self._has_room(room) or not self._process_record(record, early, now):
                break
            self.handled += 1
        if self._may_be_due():
            self._process_due(timed, now, now, room)

    def _has_room(self, room: int) -> bool:
        return self.handled < room and self._batch.halt is None

    def _process_due(self, dues: Dues, until: int, now: int, room: int) -> None:
        """Works on what was due until that time."""
        while dues.next is not None and dues.next <= until and self._has_room(room):
            for key, due in self._agenda.take(dues, until, room - self.handled):
                if self._batch.step(due.process_uuid, due, now) is None:
                    dues.back_to(key)
                    return
                self._agenda.done(key)
                self.handled += 1

    def _process_replies(self, now: int, room: int) -> None:
        read, feed = self._setup.read_reply, self.replies
        while read is not None and feed.left and self._has_room(room):
            found = read(feed.head, self.number)
            if isinstance(found, Out):
                self._batch.out.append(found)
            elif found is None:
                self.odd_replies += 1
            elif self._batch.step(*found, now) is None:
                return
            feed.step()
            self.handled += 1

    def _process_orders(self, now: int, room: int) -> None:
        desk = self.orders
        while desk.feed.left and self._has_room(room):
            found = desk.take(now)
            if isinstance(found, Order):
                before = self._batch.instances.get(found.process_uuid)
                step = self._batch.step(found.process_uuid, found, now)
                if step is None:
                    return
                found = desk.outcome(found, before, step, now)
            if found is not None:
                self._batch.out.append(found)
            desk.feed.step()
            self.handled += 1

    def _process_record(self, record: Record, early: Early, now: int) -> bool:
        """Handles one record; False when it has to wait where it is."""
        found = self._read(record, self.number, self, now, early)
        if not isinstance(found, Arrived):
            self._batch.halt = found if isinstance(found, Halt) else None
            if isinstance(found, Out):
                self._batch.out.append(found)
                self.dead_letters += 1
            self.ignored += found is None
            return self.halt is None
        routed, uuid = found.routed, found.routed.process_uuid
        source = f"{routed.topic}-{routed.partition}"
        mark, seen = (routed.offset, routed.index), self._seen.get(source)
        if seen is not None and mark <= seen:
            self.duplicates += 1
            return True
        instance = self._batch.instances.get(uuid)
        if self._is_full(instance, routed.route):
            self.blocked = uuid
            return False
        if self._batch.advance(uuid, instance, found, now) is None:
            return False
        self._seen[source] = mark
        return True

    def read_ahead(self, now: int, is_time: Callable[[], bool]) -> bool:
        """Reads records before their turn; True while some are left."""
        ahead = partial(self._setup.reader.ahead, number=self.number, now=now)
        return self._queue.read_ahead(ahead, is_time)

    def rest(self, now: int) -> None:
        """Nothing to do: instances that nothing has touched for long leave memory."""
        self._batch.instances.drop_idle(now)

    def _is_full(self, instance: Instance | None, route: str) -> bool:
        return instance is not None and behind(instance, route) >= self._setup.backlog_limit

    def _unblock(self) -> None:
        if self.blocked and not self._is_full(self.instance(self.blocked), ""):
            self.blocked = ""

    # The commit

    @property
    def touched(self) -> bool:
        """Whether there is anything to commit."""
        taken = self._queue.taken or self.replies.taken or self.orders.feed.taken
        return bool(taken or self._batch.instances.touched or self._agenda.worked)

    def stage(self, generation: int) -> Share:
        """Encodes all that happened since the last commit."""
        topic, number = self._setup.names.changelog, self.number
        self._changes = changes = self._batch.instances.changes()
        position = Position(
            source=self._queue.position,
            generation=generation,
            seen=self._seen,
            replies=self.replies.following,
            orders=self.orders.feed.following,
            paused=self.orders.paused,
            run=self.run,
        )
        record = following(self.checkpoint.last, position, self._setup)
        outs = [Out(topic, key, value, (), number) for key, value in changes.items()]
        return Share(self, topic, record, self._batch.out, outs)

    def acknowledged(self, record: CommitRecord, offset: int) -> None:
        """The transaction is committed: store, checkpoint and cache follow."""
        now = self._setup.clock.now()
        self.checkpoint = Checkpoint(offset + 1, record, now)
        local = self._agenda.local(self._changes)
        try:
            self.store.write(local, dump_checkpoint(self.checkpoint))
            if len(local) > len(self._changes):
                self._agenda.committed(local)
        except StoreCorrupt as error:
            self.damaged = str(error)  # the changelog has it all
        self._batch.instances.publish(self._changes, now)
        for each in (self._queue, self.replies, self.orders):
            each.commit()
        self.position = record.source
        halt = self.halt
        self._forget()
        self._batch.halt = halt

    def rollback(self) -> None:
        """Nothing since the last commit counts: it will be handled again."""
        self._forget()
        try:
            self._agenda.again()
        except StoreCorrupt as error:
            self.damaged = str(error)
