"""The instances stage: the partitions of one worker, and their shares of a batch."""

from collections.abc import Callable, Iterable, Sequence

from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Slice
from pmstream.runtime.feeds import FeedOf, Feeds
from pmstream.runtime.log import Consumer, Log, Record, TopicPartition
from pmstream.runtime.measure import Measure, standing
from pmstream.runtime.partition import Partition
from pmstream.runtime.purge import PURGE_SECONDS, Purge
from pmstream.runtime.restores import Owned, Place, Restores, Told
from pmstream.runtime.setup import Setup
from pmstream.runtime.stage import Load, evenly
from pmstream.runtime.store import Store, StoreCorrupt
from pmstream.runtime.takeover import Takeover
from pmstream.runtime.trim import trim
from pmstream.runtime.vitals import Condition, Vitals

TRIM_SECONDS = 15.0
"""So often, at most, a worker that works gives back memory that was freed."""

_SILENT_SECONDS, _PINNED_SECONDS = 4.0, 1.0  # together the 5 s of protocol §4 a
"""A silent inbox whose last stable offset stands below its end for so long is looked into."""


class InstancesStage:
    """Advances the instances of the inbox partitions that this worker owns.

    Args:
        log: for readers and ends.
        setup: what partitions share.
        place: the stores.
        takeover: frees a partition from a dead owner.
        store_flush_interval_s: how old the state may be that a killed process falls back to.
        told: hears of what is worth a log line.
    """

    def __init__(
        self,
        log: Log,
        setup: Setup,
        place: Place,
        takeover: Takeover,
        store_flush_interval_s: float,
        told: Told,
    ) -> None:
        self.topics: Sequence[str] = [setup.input]
        self._log, self._takeover, self._told = log, takeover, told
        self._flush_interval = store_flush_interval_s
        self._clock: Clock = setup.clock
        self._purge = Purge(log, setup.clock, setup.inbox_retention_ms)
        self._is_ours = setup.direct is None
        self._room = setup.room
        self._restores = Restores(log, setup, place, takeover, told)
        self._owned: dict[int, Owned] = {}
        self._measure = Measure(setup.input, setup.clock)
        feeds: dict[str, FeedOf] = {setup.names.orders: lambda part: part.orders.feed}
        if setup.read_reply is not None:
            feeds[setup.names.replies] = lambda part: part.replies
        self._feeds, self._listens = Feeds(log, feeds), setup.read_reply is not None
        self._guard, self._observer = setup.guard, setup.observer
        self._has_worked, self._trim_at = False, self._clock.monotonic() + TRIM_SECONDS
        self._failures = setup.failures

    @property
    def halt(self) -> str:
        """The first partition's reason to stop the process manager."""
        return next((each.halt.told for each in self.partitions if each.halt is not None), "")

    @property
    def partitions(self) -> list[Partition]:
        """Those that run, on a store that is whole, with code that may."""
        running = [each.running for each in self._owned.values() if each.running is not None]
        return [each for each in running if not (each.damaged or each.refused)]

    @property
    def stores(self) -> list[Store]:
        """Those that are open."""
        return [each.store for each in self._owned.values() if each.store is not None]

    # Ownership

    def is_running(self, where: TopicPartition) -> bool:
        """Whether that inbox partition runs here."""
        owned = self._owned.get(where.partition)
        return owned is not None and owned.running is not None

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` opens them."""
        for each in partitions:
            self._owned[each.partition] = Owned(each.partition)
        self._room.parts = len(self._owned)

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions and what they staged."""
        for each in partitions:
            owned = self._owned.pop(each.partition, None)
            self._feeds.leave(each.partition)
            if owned is not None and owned.store is not None:
                self._measure.leaving(owned)
                owned.store.close()
                self._told("dropped", owned.number, "given up, or lost")
        self._room.parts = len(self._owned)

    def dropped_all(self) -> None:
        """Lets go of every partition."""
        self.dropped([TopicPartition("", number) for number in self._owned])

    def restart(self, consumer: Consumer) -> None:
        """Puts every running partition back to restoring, in place."""
        for owned in self._owned.values():
            if owned.running is not None:
                consumer.pause([owned.running.source])
                self._feeds.leave(owned.number)
                self._measure.leaving(owned)
                owned.reset()

    def close(self) -> None:
        """Closes stores and the reader."""
        self.dropped_all()
        self._restores.close()
        self._feeds.close()

    # Readiness

    def catch_up(self, consumer: Consumer) -> None:
        """Opens and restores assigned partitions; looks after those that run."""
        now = self._clock.monotonic()
        self._rebuild_damaged(consumer)
        for owned in self._restores.turn(list(self._owned.values()), consumer):
            owned.flush_at = now + self._flush_interval
            owned.look_at = now + _SILENT_SECONDS
            owned.purge_at = now + PURGE_SECONDS
            self._has_worked = True  # a store that was filled is merged now, and frees memory later
        for owned in self._owned.values():
            if owned.running is not None:
                self._tend(owned, owned.running, consumer, now)
        self._feeds.turn(self.partitions)
        if self._has_worked and now >= self._trim_at:
            self._has_worked, self._trim_at = False, now + TRIM_SECONDS
            trim()

    def _rebuild_damaged(self, consumer: Consumer) -> None:
        """Empties stores that were found damaged; the changelog fills them again."""
        for owned in self._owned.values():
            part, store = owned.running, owned.store
            if part is not None and store is not None and part.damaged:
                consumer.pause([part.source])
                self._feeds.leave(owned.number)
                store.wipe(part.damaged)
                self._measure.leaving(owned)
                owned.reset()
                self._told("store emptied", owned.number, part.damaged)

    def _tend(self, owned: Owned, part: Partition, consumer: Consumer, now: float) -> None:
        """Pauses what may not go on; flushes the store; frees and purges the inbox."""
        condition, why = standing(part)
        stands = condition is not Condition.RUNNING
        if stands != owned.paused:
            owned.paused = stands
            (consumer.pause if stands else consumer.resume)([part.source])
            self._told(condition if stands else "unblocked", part.number, why)
        if not part.inbox_live:
            position = consumer.position(part.source)
            part.inbox_live = position is not None and position >= part.inbox_end
        if now >= owned.flush_at:
            try:
                part.store.flush()
            except StoreCorrupt as error:
                part.damaged = str(error)
            owned.flush_at = now + self._flush_interval
        if now >= owned.look_at:
            readable = self._free_pinned(owned, part.source)
            owned.look_at = now + (_SILENT_SECONDS if owned.stable is None else _PINNED_SECONDS)
            if readable and not part.waiting:
                # A position may stand before the last marker for ever: silence tells as well.
                part.inbox_live = True
                for feed in (part.replies, part.orders.feed):
                    feed.live = feed.live or feed.quiet
        if now >= owned.purge_at and self._is_ours:
            owned.purge_at = now + PURGE_SECONDS
            purged = self._purge.partition(part.source, part.position)
            if purged:
                self._told("inbox", part.number, purged)

    def _free_pinned(self, owned: Owned, inbox: TopicPartition) -> bool:
        """A dead router's open transaction hides what other routers wrote (protocol §4 a).

        Returns:
            Whether all that stands in the inbox can be read.
        """
        stable = self._log.end(inbox, stable=True)
        end = self._log.end(inbox, stable=False)
        pinned = stable is not None and end is not None and stable < end
        if pinned and stable == owned.stable and self._is_ours:
            self._takeover.inbox(inbox)
        owned.stable = stable if pinned else None
        return stable is not None and end is not None and not pinned

    # Records and batches

    def take(self, records: Iterable[Record]) -> None:
        """Puts records into their partitions' queues; drops those of others."""
        heard = self._clock.monotonic()
        for record in records:
            owned = self._owned.get(record.partition)
            if owned is not None and owned.running is not None:
                owned.running.take(record)
                owned.look_at = heard + _SILENT_SECONDS

    def process(self, now: int, room: int) -> None:
        """Handles what is at hand, up to `room` inputs in this batch, each partition its share."""

        def work(part: Partition, most: int) -> int:
            before = part.handled
            part.process(now, before + most)
            return part.handled - before

        parts = self.partitions
        worked = evenly(parts, room - sum(each.handled for each in parts), work)
        self._has_worked = self._has_worked or bool(worked)
        for part in parts:
            if part not in worked:
                part.rest(now)
        if self._guard is not None:
            self._guard.rest()
        if self._observer is not None:
            self._observer.rest()

    def read_ahead(self, now: int, is_time: Callable[[], bool]) -> bool:
        """Reads records before their turn; True while some are left."""
        return any(each.read_ahead(now, is_time) for each in self.partitions)

    def load(self) -> Load:
        """How much is at hand and staged."""
        parts, now = self.partitions, self._clock.now()
        dues = [due for each in parts if (due := each.due_in(now)) is not None]
        return Load(
            waiting=sum(each.waiting for each in parts if not each.is_held),
            staged=sum(each.handled for each in parts),
            staged_bytes=sum(each.size for each in parts),
            busy=len(parts) < len(self._owned),
            due_in_ms=0 if self._restores.flows else min(dues, default=None),
            listens=self._listens,
        )

    def vitals(self, consumer: Consumer) -> Vitals:
        """What it can tell of itself and of each partition."""
        found = self._measure.vitals(list(self._owned.values()), consumer)
        found.values["failures_total"] = dict(self._failures.counts)
        return found

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition that was touched."""
        return [each.stage(generation) for each in self.partitions if each.touched]

    def rollback(self) -> None:
        """Drops what is staged; the records stay."""
        for each in self.partitions:
            each.rollback()
