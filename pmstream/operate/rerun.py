"""One partition run over its own history, by the worker's own partition.

Rule: a record's time is the clock; what comes due between two records happens at its own time.
"""

from collections.abc import Callable, Iterator, Mapping
from heapq import merge

from pmstream.core.instance import Instance
from pmstream.core.lifecycle import coming
from pmstream.core.messages import COMMAND_ID
from pmstream.errors import Stopped
from pmstream.operate.reading import read_once
from pmstream.runtime.changelog import Checkpoint
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import Sent as Emission
from pmstream.runtime.feed import Ends
from pmstream.runtime.inbox import time_of
from pmstream.runtime.log import Headers, Log, Record, TopicPartition
from pmstream.runtime.partition import Partition
from pmstream.runtime.setup import Setup
from pmstream.runtime.share import Share
from pmstream.runtime.store import Store

BATCH = 1_000
"""Inputs between two writes to the store."""

History = Mapping[TopicPartition, tuple[int, int]]
"""Partition to the first offset, and the one to stop before."""

Sent = dict[str, int]
"""Id of a command to a hash of its topic, key and value."""


def merged(log: Log, history: History, inbox: str) -> Iterator[Record]:
    """Records of several partitions, by time; in order within a partition.

    Args:
        log: the cluster.
        history: the partitions, and what of them.
        inbox: the topic whose records count at the time that `time_of` tells.
    """
    streams = [
        _stream(log, place, span, time_of if place.topic == inbox else _written)
        for place, span in history.items()
    ]
    return merge(*streams, key=_written)


def _written(record: Record) -> int:
    return record.timestamp


def _stream(
    log: Log, place: TopicPartition, span: tuple[int, int], time: Callable[[Record], int]
) -> Iterator[Record]:
    latest = 0
    for records in read_once(log, {place: span}):
        for record in records:
            latest = max(latest, time(record))  # a producer's clock may step back
            yield Record(
                record.topic,
                record.partition,
                record.offset,
                latest,
                record.key,
                record.value,
                record.headers,
            )


class Rerun:
    """One partition.

    Args:
        setup: of a worker.
        clock: that `setup` goes by; it begins anew.
        number: of the partition.
        store: empty, or at `checkpoint`.
        taken: hears of each share of work before the store has it.
        position: where the first input may stand.
        checkpoint: what went before.
    """

    def __init__(
        self,
        setup: Setup,
        clock: VirtualClock,
        number: int,
        store: Store,
        taken: Callable[[Share], None],
        position: int = 0,
        checkpoint: Checkpoint = Checkpoint(),  # noqa: B008 - it is frozen
    ) -> None:
        clock.step(-clock.now() / 1_000)
        self._setup, self._clock, self._taken = setup, clock, taken
        self._offset = checkpoint.next
        self._part = Partition(number, setup, store, checkpoint, position, Ends())
        self._part.inbox_live, self._waits = True, False

    def instance(self, uuid: str) -> Instance | None:
        """An instance as it stands now."""
        return self._part.instance(uuid)

    def take(self, record: Record) -> None:
        """All that is due before a record, then the record. Raises Stopped."""
        setup = self._setup
        self._until(record.timestamp)
        if record.topic == setup.input:
            self._part.take(record)
        elif record.topic == setup.names.orders:
            self._part.orders.feed.put(record)
        else:
            self._part.replies.put(record)
        self._process()
        instance = self._part.instance((record.key or b"").decode(errors="replace"))
        self._waits = self._waits or (instance is not None and bool(coming(instance)))
        if self._part.handled >= BATCH:
            self._commit()

    def finish(self, until: int) -> None:
        """All that was due by then. Raises Stopped."""
        self._until(until)
        self._commit()

    def _until(self, time: int) -> None:
        """Lets time pass, and what comes due on the way happen at its own time."""
        if self._waits:  # what comes due is looked for in the store
            self._commit()
        while True:
            now = self._clock.now()
            due = self._part.due_in(now)
            if due is None or now + due > time:
                break
            self._clock.step(due / 1_000)
            handled = self._part.handled
            self._process()
            if self._part.handled == handled:
                break
            self._commit()  # a hint that follows from this one is found in the store
        self._clock.step(max(time - self._clock.now(), 0) / 1_000)

    def _process(self) -> None:
        part = self._part
        part.process(self._clock.now(), part.handled + BATCH)
        if part.halt is not None:
            raise Stopped(f"today's code stops: {part.halt.reason}")

    def _commit(self) -> None:
        self._waits = False
        if not self._part.touched:
            return
        share = self._part.stage(0)
        self._taken(share)
        self._offset += len(share.records) + 1
        share.acknowledged(self._offset)


def id_of(headers: Headers) -> str | None:
    """The command id that a record's headers begin with; None if it is no command."""
    if not headers or headers[0][0] != COMMAND_ID:
        return None
    return (headers[0][1] or b"").decode(errors="replace")


def digest(message: Emission | Record) -> int:
    """A hash of a command's topic, key and value, good for this process."""
    return hash((message.topic, message.key, message.value))


def commands_of(share: Share) -> Sent:
    """The commands that a share of work would send."""
    found: Sent = {}
    for out in share.records:
        id = id_of(out.headers)
        if id is not None:
            found.setdefault(id, digest(out))
    return found
