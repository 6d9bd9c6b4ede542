"""The instances stage: the partitions of one worker, their restores, their share of a batch."""

from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from pmstream.config import Settings
from pmstream.errors import Stopped
from pmstream.runtime.commit import Slice
from pmstream.runtime.log import (
    Again,
    Clock,
    Consumer,
    Log,
    PositionLost,
    Reader,
    Record,
    TopicPartition,
)
from pmstream.runtime.partition import Partition, Setup
from pmstream.runtime.restore import CHUNK_RECORDS, Restore, Verdict
from pmstream.runtime.stage import Load
from pmstream.runtime.store import Caches, Store
from pmstream.runtime.takeover import Takeover

_READ_SECONDS = 0.02
_PINNED_SECONDS = 5.0


class Place(Struct, frozen=True, kw_only=True):
    """Where an instances worker keeps its stores, and what they must belong to.

    Attributes:
        directory: of the worker; one folder a partition.
        identity: topic ids and partition count; a store of another identity is emptied.
        delete_retention_ms: how long the changelog keeps tombstones.
    """

    directory: Path
    identity: str
    delete_retention_ms: int


class _Owned:
    """An assigned partition: opening, then restoring, then running."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.store: Store | None = None
        self.restore: Restore | None = None
        self.running: Partition | None = None
        self.paused = False
        self.flush_at = 0.0
        self.look_at = 0.0
        self.stable: int | None = None


class InstancesStage:
    """Advances the instances of the inbox partitions that this worker owns.

    Args:
        log: for readers and ends.
        setup: what partitions share.
        settings: limits and times.
        place: the stores.
        takeover: frees a partition from a dead owner.
        told: called with a word and a partition when something worth a log line happens.
    """

    def __init__(
        self,
        log: Log,
        setup: Setup,
        settings: Settings,
        place: Place,
        takeover: Takeover,
        clock: Clock,
        told: Callable[[str, int, str], None] = lambda _what, _partition, _text: None,
    ) -> None:
        self.topics = [setup.names.inbox]
        self._log, self._setup, self._settings, self._place = log, setup, settings, place
        self._takeover, self._clock, self._told = takeover, clock, told
        self._caches = Caches()
        self._owned: dict[int, _Owned] = {}
        self._reader: Reader | None = None
        self._reading: set[int] = set()

    @property
    def halt(self) -> str:
        """The first partition's reason to stop the process manager."""
        for each in self.partitions:
            if each.halt is not None:
                return each.halt.reason
        return ""

    @property
    def partitions(self) -> list[Partition]:
        """Those that run."""
        return [each.running for each in self._owned.values() if each.running is not None]

    def is_running(self, where: TopicPartition) -> bool:
        """Whether that inbox partition runs here."""
        owned = self._owned.get(where.partition)
        return owned is not None and owned.running is not None

    # Ownership

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` opens them."""
        for each in partitions:
            self._owned[each.partition] = _Owned(each.partition)

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions (all of them when none is named) and what they staged."""
        numbers = [each.partition for each in partitions] or list(self._owned)
        for number in numbers:
            owned = self._owned.pop(number, None)
            if owned is not None and owned.store is not None:
                owned.store.close()
        self._reading &= set(self._owned)

    def restart(self, consumer: Consumer) -> None:
        """Puts every running partition back to restoring, in place."""
        for owned in self._owned.values():
            if owned.running is not None:
                consumer.pause([owned.running.source])
                owned.running = owned.restore = None

    def close(self) -> None:
        """Closes stores and the reader."""
        self.dropped(())
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # Restores

    def catch_up(self, consumer: Consumer) -> None:
        """Opens and restores assigned partitions; those that are whole run on."""
        restoring = [each for each in self._owned.values() if each.running is None]
        for owned in restoring:
            if owned.restore is None:
                self._open(owned)
        if restoring or self._reading:
            self._read_changelogs()
        for owned in restoring:
            self._turn_restore(owned, consumer)
        self._tend(consumer)

    def _open(self, owned: _Owned) -> None:
        number = owned.number
        if owned.store is None:
            owned.store = Store(
                self._place.directory / str(number), self._place.identity, self._caches
            )
            if owned.store.wiped:
                self._told("store emptied", number, owned.store.wiped)
        owned.restore = Restore(
            TopicPartition(self._setup.names.inbox, number),
            TopicPartition(self._setup.names.changelog, number),
            owned.store,
            self._clock,
            self._place.delete_retention_ms,
            self._settings.restore_stall_timeout_ms,
        )
        start = self._log.start(owned.restore.changelog)
        if start is not None and 0 < owned.restore.checkpoint.next < start:
            owned.restore.start_again(f"its checkpoint is below the changelog's start {start}")
        self._reading.discard(number)

    def _read_changelogs(self) -> None:
        wanted = {
            number: owned.restore
            for number, owned in self._owned.items()
            if owned.running is None and owned.restore is not None and owned.restore.reading
        }
        if self._reader is None:
            self._reader = self._log.reader()
        if wanted.keys() != self._reading:
            self._reader.assign({each.changelog: each.checkpoint.next for each in wanted.values()})
            self._reading = set(wanted)
        if not wanted:
            return
        try:
            records = self._reader.read(CHUNK_RECORDS, _READ_SECONDS)
        except PositionLost as error:
            wanted[error.where.partition].start_again(str(error))
            self._reading = set()
            return
        by_partition: dict[int, list[Record]] = {}
        for record in records:
            by_partition.setdefault(record.partition, []).append(record)
        for number, part in by_partition.items():
            if number in wanted:
                wanted[number].apply(part)

    def _turn_restore(self, owned: _Owned, consumer: Consumer) -> None:
        restore = owned.restore
        if restore is None or owned.store is None:
            return
        read_to = None
        if self._reader is not None and owned.number in self._reading:
            read_to = self._reader.position(restore.changelog)
        verdict = restore.turn(consumer, self._log, read_to)
        if verdict is Verdict.STALLED:
            last = restore.checkpoint.last
            self._takeover.changelog(restore.changelog, last.owner if last else None)
        elif verdict is Verdict.DONE:
            self._run(owned, restore, consumer)

    def _run(self, owned: _Owned, restore: Restore, consumer: Consumer) -> None:
        assert owned.store is not None
        source = restore.source
        start = self._log.start(source)
        if start is not None and start > restore.position:
            raise Stopped(
                f"{source.topic}-{source.partition}: position {restore.position} is no longer "
                f"retained, the log starts at {start}: events are missing; state is kept; decide "
                "what they were, then set the group's position"
            )
        try:
            consumer.seek(source, restore.position)
            consumer.resume([source])
        except Again:
            return  # no leader yet: the next turn tries again
        owned.running = Partition(
            owned.number, self._setup, owned.store, restore.checkpoint, restore.position
        )
        now = self._clock.monotonic()
        owned.flush_at = now + self._settings.store_flush_interval_s
        owned.look_at = now + _PINNED_SECONDS
        owned.restore = None
        self._reading.discard(owned.number)
        self._told("running", owned.number, f"{restore.records} records restored")
        self._free_previous(restore)

    def _free_previous(self, restore: Restore) -> None:
        """Ends what a dead previous owner may have open in command topics (protocol §4 b)."""
        last = restore.checkpoint.last
        if last is None or last.owner == self._setup.owner:
            return
        group = self._setup.names.group("instances")
        try:
            members = self._log.members(group)
        except Again:
            return
        if last.owner.removeprefix(group + ".") not in members:
            self._takeover.end(last.owner)

    def _tend(self, consumer: Consumer) -> None:
        """Pauses what a full backlog blocks, flushes stores, frees a pinned inbox."""
        now = self._clock.monotonic()
        for owned in self._owned.values():
            part = owned.running
            if part is None:
                continue
            if bool(part.blocked) != owned.paused:
                owned.paused = bool(part.blocked)
                (consumer.pause if part.blocked else consumer.resume)([part.source])
                self._told("blocked" if part.blocked else "unblocked", part.number, part.blocked)
            if now >= owned.flush_at:
                part.store.flush()
                owned.flush_at = now + self._settings.store_flush_interval_s
            if now >= owned.look_at:
                self._free_pinned(owned, part.source)

    def _free_pinned(self, owned: _Owned, inbox: TopicPartition) -> None:
        """A silent inbox whose LSO stands below its end hides behind a dead router (§4 a)."""
        owned.look_at = self._clock.monotonic() + _PINNED_SECONDS
        stable = self._log.end(inbox, stable=True)
        end = self._log.end(inbox, stable=False)
        if stable is None or end is None or stable >= end:
            owned.stable = None
            return
        if stable == owned.stable:
            self._takeover.inbox(inbox)
        owned.stable = stable

    # Records and batches

    def take(self, record: Record) -> None:
        """Puts a record into its partition's queue; drops it when that does not run here."""
        owned = self._owned.get(record.partition)
        if owned is not None and owned.running is not None:
            owned.running.take(record)
            owned.look_at = self._clock.monotonic() + _PINNED_SECONDS

    def process(self, now: int, room: int) -> None:
        """Handles what is at hand, up to `room` inputs in this batch."""
        parts = self.partitions
        left = room - sum(each.handled for each in parts)
        for rest, part in zip(range(len(parts), 0, -1), parts, strict=True):
            before = part.handled
            part.process(now, before + -(-left // rest))
            left -= part.handled - before

    def load(self) -> Load:
        """How much is at hand and staged."""
        parts = self.partitions
        now = self._clock.now()
        dues = [due for each in parts if (due := each.due_in(now)) is not None]
        return Load(
            waiting=sum(each.waiting for each in parts if not each.blocked),
            staged=sum(each.handled for each in parts),
            staged_bytes=sum(each.size for each in parts),
            busy=len(parts) < len(self._owned),
            due_in_ms=min(dues) if dues else None,
        )

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition that was touched."""
        return [each.stage(generation) for each in self.partitions if each.touched]

    def rollback(self) -> None:
        """Drops what is staged; the records stay."""
        for each in self.partitions:
            each.rollback()
