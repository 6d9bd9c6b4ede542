"""The second half of a rebuild: each partition's history, by its own time, into a new changelog.

Rule: the partition that runs is the worker's own, commands are not sent, and what it commits is the
changelog alone: the last commit record there tells how far it has come.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec.structs import replace

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core.lifecycle import coming
from pmstream.errors import Stopped
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.operate.rerouting import Accept, Done, judge_letter
from pmstream.operate.rerun import History, Rerun, merged
from pmstream.operate.stand import Stand
from pmstream.operate.transaction import write
from pmstream.runtime.changelog import Checkpoint, dump_checkpoint, fold
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import Out, Sent
from pmstream.runtime.intake import Counted
from pmstream.runtime.log import Log, Producer, Record, TopicPartition
from pmstream.runtime.orders import read_outcome
from pmstream.runtime.reading import Early, Found, Reader
from pmstream.runtime.roles import partition_setup
from pmstream.runtime.setup import Setup
from pmstream.runtime.share import Share
from pmstream.runtime.store import Caches, Store

BATCH = 5_000
"""Changes in one transaction, roughly; of the same instance only the last one is written."""


class Refolding:
    """Works off the history of each partition.

    Args:
        log: the cluster.
        app: with the process manager.
        new: names of the generation that is made.
        producer: writes its changelog.
        settings: limits.
        apart: places of events that are passed over.
        accept: decides on what fares otherwise.
    """

    def __init__(
        self,
        log: Log,
        app: App,
        new: Names,
        producer: Producer,
        settings: Settings,
        apart: frozenset[str],
        accept: Accept,
    ) -> None:
        self._log, self._new, self._producer, self._accept = log, new, producer, accept
        self._clock = VirtualClock(0)
        setup = partition_setup(
            app,
            new,
            producer.transactional_id,
            log,
            settings,
            self._clock,
            lambda *_: None,
            is_watched=False,
        )
        self._setup = setup if setup.direct is None else _without(setup, apart)
        self._caches = Caches()

    def history(self, old: Stand, sources: History) -> History:
        """What is read of a partition: its inputs, orders and replies."""
        number, last = old.number, old.last
        input, feeds = TopicPartition(self._setup.input, number), dict[str, int]()
        if last is not None:
            feeds[self._new.orders] = last.orders
            if self._setup.read_reply is not None:
                feeds[self._new.replies] = last.replies
        if self._setup.direct is not None:
            there = last.source if last is not None else 0
            inputs = sources.get(input, (there, there))
        else:
            inputs = bounds(self._log, self._log.topics()[input.topic])[input]
        found = {input: inputs}
        found |= {TopicPartition(topic, number): (0, end) for topic, end in feeds.items() if end}
        return found

    def run(self, old: Stand, history: History, done: Done) -> None:
        """Works off one partition.

        Args:
            old: where it stood.
            history: see there.
            done: hears how many more records are done.

        Raises:
            Stopped: today's code stops at an input; or an order or an event fares otherwise, and
                that is not accepted.
            Again, MustAbort, OutcomeUnknown: the same call goes on.
            Unreachable, PositionLost: the cluster; history went away meanwhile.
        """
        number, input = old.number, TopicPartition(self._setup.input, old.number)
        with tempfile.TemporaryDirectory(prefix="pmstream-rebuild-") as folder:
            store = Store(Path(folder), "rebuild", self._caches)
            try:
                checkpoint = self._restored(number, store)
                left = _left(history, checkpoint, self._setup, self._new)
                sink = _Sink(self._producer, self._judge(history, number))
                runner = Rerun(
                    self._setup, self._clock, number, store, sink.take, left[input][0], checkpoint
                )
                at = {place: start for place, (start, _) in history.items()}
                for record in merged(self._log, left, self._new.inbox):
                    runner.take(record)
                    place = TopicPartition(record.topic, record.partition)
                    done(record.offset + 1 - at[place])
                    at[place] = record.offset + 1
                    sink.flush(BATCH)
                runner.finish(_until(old, runner))
                sink.flush(1)
                done(sum(end - at[place] for place, (_, end) in history.items()))
            finally:
                store.close()

    def _restored(self, number: int, store: Store) -> Checkpoint:
        """What was written before."""
        place, checkpoint = TopicPartition(self._new.changelog, number), Checkpoint()
        span = bounds(self._log, self._log.topics()[place.topic])[place]
        for records in read_once(self._log, {place: span}):
            changes, checkpoint = fold(records, checkpoint, 0)
            store.write(changes, dump_checkpoint(checkpoint))
        return checkpoint

    def _judge(self, history: History, number: int) -> Callable[[Out], None]:
        """Compares what becomes of orders and events with what became of them."""
        place = TopicPartition(self._new.orders, number)
        were: dict[int, bool] = {}
        if place in history:
            span = bounds(self._log, self._log.topics()[place.topic])[place]
            for records in read_once(self._log, {place: span}):
                outcomes = [read_outcome(record) for record in records]
                were |= {each.offset: each.accepted for each in outcomes if each is not None}

        def judge(out: Out) -> None:
            if out.topic == self._new.dead_letters:
                judge_letter(out, self._accept)
            if out.topic != self._new.orders:
                return
            now = read_outcome(Record(out.topic, number, 0, 0, out.key, out.value, out.headers))
            if now is None or were.get(now.offset, now.accepted) == now.accepted:
                return
            order, how = now.order, f"refused ({now.refused})" if now.refused else "obeyed"
            text = (
                f"order {order.verb} to process {order.process_uuid} ({place.topic}-{number} at "
                f"offset {now.offset}) was {'refused' if now.accepted else 'obeyed'}, and is {how} "
                "in the rebuild"
            )
            if not self._accept(text):
                raise Stopped(text)

        return judge


class _Sink:
    """Gathers what a partition commits, and writes it to the changelog in larger transactions."""

    def __init__(self, producer: Producer, judge: Callable[[Out], None]) -> None:
        self._producer, self._judge = producer, judge
        self._changes: dict[bytes | None, Sent] = {}
        self._last: Out | None = None
        self._size = 0

    def take(self, share: Share) -> None:
        """What is for others was sent when history happened."""
        for out in share.records[: share.sent]:
            if isinstance(out, Out):
                self._judge(out)  # a command needs no judge
        for out in share.records[share.sent :]:
            self._changes[out.key] = out
        self._size += len(share.records) + 1
        self._last = share.commit_record

    def flush(self, least: int) -> None:
        """Writes what is there, if it is so much."""
        if self._last is None or self._size < least:
            return
        write(self._producer, [*self._changes.values(), self._last])
        self._changes, self._last, self._size = {}, None, 0


def _left(
    history: History, checkpoint: Checkpoint, setup: Setup, names: Names
) -> Mapping[TopicPartition, tuple[int, int]]:
    """What of the history is not worked off."""
    last = checkpoint.last
    if last is None:
        return history
    reached = {setup.input: last.source, names.orders: last.orders, names.replies: last.replies}
    return {
        place: (max(start, reached[place.topic]), end) for place, (start, end) in history.items()
    }


def _until(old: Stand, runner: Rerun) -> int:
    """Until when timers and deadlines fire: as far as they had, where the partition stopped."""
    if old.last is None:
        return 0
    until = old.last.time
    for uuid, was in old.instances():
        pending = coming(was)
        now = runner.instance(uuid) if pending else None
        if now is None:
            continue
        names = {(each.kind, each.name) for each in pending}
        dues = [each.due for each in coming(now) if (each.kind, each.name) in names]
        until = min([until, *(due - 1 for due in dues)])
    return until


def _without(setup: Setup, apart: frozenset[str]) -> Setup:
    """Direct mode: the source is read as it is, but for those events."""
    return replace(setup, reader=_Without(setup.reader, apart))


class _Without:
    """A reader for whom some records are not there."""

    def __init__(self, reader: Reader, apart: frozenset[str]) -> None:
        self._reader, self._apart = reader, apart

    def ahead(self, record: Record, number: int, now: int) -> Early:
        """See `Reader.ahead`."""
        return self._reader.ahead(record, number, now)

    def read(
        self, record: Record, number: int, counted: Counted, now: int, early: Early = None
    ) -> Found:
        """See `Reader.read`."""
        if f"{record.topic}-{record.partition}-{record.offset}" in self._apart:
            return None
        return self._reader.read(record, number, counted, now, early)
