"""Brings one partition's store to the group's stable committed position.

Rule: restored means that the last commit record applied is the one that the committed offset names.
Never before that, and never by guessing from offsets alone (protocol §3).
"""

from collections.abc import Sequence
from enum import StrEnum

from pmstream.errors import Stopped
from pmstream.runtime.changelog import Checkpoint, dump_checkpoint, fold, load_checkpoint
from pmstream.runtime.clock import Clock
from pmstream.runtime.generations import check_open
from pmstream.runtime.log import Committed, Consumer, Log, Record, TopicInfo, TopicPartition
from pmstream.runtime.log_errors import OffsetPending
from pmstream.runtime.setup import Direct
from pmstream.runtime.store import Store

CHUNK_RECORDS = 5_000
"""Changelog records in one write to the store."""

FILLING_RECORDS = 50_000
"""From so many changelog records to read on, the store is filled, not merely caught up."""

_ASK_SECONDS = 0.2
_PATIENCE_SECONDS = 1.0
_MISMATCH_SECONDS = 5.0


def other_count(inbox: str, partitions: int, number: int, written: int) -> str:
    """The sentence for an inbox whose partitions were counted otherwise when it was handled."""
    return (
        f"{inbox} has {partitions} partitions, but the changelog of {inbox}-{number} was written "
        f"when there were {written}: partitions cannot be added, because processes would be "
        "looked for where their state is not (`pmstream topics repartition` moves them); make both "
        "topics anew with the old count from a backup, or delete them and the groups to start over"
    )


def feed_mismatch(twin: TopicInfo, feed: TopicInfo) -> str:
    """The sentence for replies or orders with another partition count than the inbox."""
    return (
        f"{twin.name} has {twin.partitions} partitions but {feed.name} has {feed.partitions}: they "
        f"must be equal; delete {feed.name} and make it anew"
    )


def other_source(place: TopicPartition, written: str, found: str) -> str:
    """The sentence for state whose position speaks of another topic than the one at hand."""
    if written and found:
        what = f"belongs to an earlier topic {place.topic}, which was deleted and made again"
    else:
        what = f"was written {'with' if written else 'without'} the option `keyed`"
    return (
        f"{place.topic}-{place.partition}: the position in the changelog {what}: its offsets mean "
        "other events here. Put it back as it was; or give the process manager a new name, or "
        "delete its topics and groups, to start over"
    )


class Verdict(StrEnum):
    """What a restore needs next."""

    GOING_ON = "going on"
    STALLED = "stalled"
    """An open transaction is in the way: a takeover of its owner may free it."""
    DONE = "done"


class Restore:
    """The restore of one partition; `turn` is called until it answers DONE.

    Args:
        source: the inbox partition whose committed offset counts.
        changelog: its changelog partition.
        store: open; emptied when it is too old to be caught up.
        delete_retention_ms: how long the changelog keeps tombstones.
        stall_timeout_ms: without progress for this long, it gives up with a named error.
        direct: the source topic that `source` is of, if it is no inbox.

    Attributes:
        checkpoint: how far the store has come.
        position: where to read the inbox, once DONE.
        records: changelog records applied so far.
        emptied: why it emptied the store, until that was told.
    """

    def __init__(
        self,
        source: TopicPartition,
        changelog: TopicPartition,
        store: Store,
        clock: Clock,
        delete_retention_ms: int,
        stall_timeout_ms: int,
        direct: Direct | None = None,
    ) -> None:
        self.source, self.changelog, self._store, self._clock = source, changelog, store, clock
        self._retention, self._stall_seconds = delete_retention_ms, stall_timeout_ms / 1000
        self.checkpoint = load_checkpoint(store.checkpoint())
        self._direct = direct
        self.position = 0
        self.records = 0
        self.emptied = ""
        self._asked = False
        self._committed: Committed | None = None
        self._target: int | None = None
        self._aged = False
        self._progress = clock.monotonic()
        self._read_to: int | None = None
        self._pending_since: float | None = None
        self._odd_since: float | None = None
        self._filling = False

    @property
    def reading(self) -> bool:
        """Whether changelog records are wanted."""
        return self._target is not None

    @property
    def remaining(self) -> int:
        """Changelog offsets still to read, as far as is known by now."""
        return max((self._target or 0) - max(self._read_to or 0, self.checkpoint.next), 0)

    def turn(self, consumer: Consumer, log: Log, read_to: int | None) -> Verdict:
        """Finds out what is known by now.

        Args:
            consumer: a member of the group.
            log: for the changelog's end.
            read_to: the reader's position in the changelog, None before any.

        Raises:
            Stopped: position and state cannot be brought together, or nothing moves.
            Busy: its generation is closed.
        """
        if read_to != self._read_to:  # also past what was aborted, of which no record comes
            self._read_to, self._progress = read_to, self._clock.monotonic()
        if not self._asked and not self._ask(consumer):
            return self._stalled() if self._waited_long() else Verdict.GOING_ON
        committed = self._committed
        if committed is not None and self.checkpoint.matches(committed):
            return self._done(committed.position)
        self._check_age()
        if self._target is None:
            self._aim(log)
            return Verdict.GOING_ON
        if max(read_to or 0, self.checkpoint.next) < self._target:
            idle = self._clock.monotonic() - self._progress
            return self._stalled() if idle > _PATIENCE_SECONDS else Verdict.GOING_ON
        if committed is None or self._is_start(committed):
            return self._from_record(log, committed)
        return self._mismatch(committed)

    def apply(self, records: Sequence[Record]) -> None:
        """Writes one chunk of changelog records to the store, with its checkpoint."""
        changes, self.checkpoint = fold(records, self.checkpoint, self._clock.now())
        self._store.write(changes, dump_checkpoint(self.checkpoint))
        self.records += len(records)
        self._progress = self._clock.monotonic()

    def start_again(self, why: str) -> None:
        """Empties the store and reads the changelog from its beginning."""
        self._store.wipe(why)
        self.emptied = why
        self.checkpoint, self._target = Checkpoint(), None

    def _ask(self, consumer: Consumer) -> bool:
        try:
            self._committed = consumer.committed(self.source, _ASK_SECONDS)
        except OffsetPending:
            self._pending_since = self._pending_since or self._clock.monotonic()
            return False
        if self._committed is not None:
            check_open(self.source, self._committed)
        self._asked, self._pending_since = True, None
        self._progress = self._clock.monotonic()
        return True

    def _waited_long(self) -> bool:
        since = self._pending_since
        return since is not None and self._clock.monotonic() - since > _PATIENCE_SECONDS

    def _check_age(self) -> None:
        """A store older than half the tombstones' life may have missed some."""
        age = self._clock.now() - self.checkpoint.time
        if not self._aged and self.checkpoint.next and age > self._retention / 2:
            self.start_again(f"its state is {age // 1000} s old: tombstones may be gone")
        self._aged = True

    def _aim(self, log: Log) -> None:
        """Finds how far to read; an end taken before the position is known would be too low."""
        start, end = log.start(self.changelog), log.end(self.changelog, stable=False)
        if start is None or end is None:
            return  # no leader: the next turn asks again
        if self.checkpoint.next < start:
            if self.checkpoint.next:
                self.start_again(f"its checkpoint is below the changelog's start {start}")
            self.checkpoint = Checkpoint(start)
        self._target = end
        if self.remaining >= FILLING_RECORDS:
            self._store.fill(filling=True)
            self._filling = True

    def _stalled(self) -> Verdict:
        if self._clock.monotonic() - self._progress < self._stall_seconds:
            return Verdict.STALLED
        raise Stopped(
            f"restore of {self.source.topic}-{self.source.partition} has not moved for "
            f"{self._stall_seconds:.0f} s: changelog read to {self.checkpoint.next}, target "
            f"{self._target}; an open transaction pins it: see `pmstream doctor`"
        )

    def _done(self, position: int) -> Verdict:
        self.position = position
        if self._filling:
            self._store.fill(filling=False)
            self._filling = False
        return Verdict.DONE

    def _from_record(self, log: Log, start: Committed | None) -> Verdict:
        """No worker's group offset: it expired (the commit record knows), or nothing ever ran.

        A source topic begins where `topics ensure` said; an inbox at its beginning.
        """
        if not self.checkpoint.whole:  # frozen since it asked: somebody commits by now
            return self._mismatch(Committed(0))
        last = self.checkpoint.last
        if last is not None:
            return self._done(last.source)
        if start is not None:
            return self._done(start.position)
        if self._direct is not None:
            return self._without_start()
        position = log.start(self.source)
        return Verdict.GOING_ON if position is None else self._done(position)

    def _is_start(self, committed: Committed) -> bool:
        return self._direct is not None and self._direct.is_start(committed.metadata)

    def _without_start(self) -> Verdict:
        if self.doubt():  # a coordinator that is loading may say "none"
            return Verdict.GOING_ON
        raise Stopped(
            f"the group has no position in {self.source.topic}-{self.source.partition}, and there "
            "is no state: run `pmstream topics ensure` to set where to start (if this process "
            "manager ran before, its positions have expired)"
        )

    def doubt(self) -> bool:
        """Asks for the committed position again; False once that has not helped for a while.

        A worker that was frozen in here sees a newer owner's commits, and its purge.
        """
        now = self._clock.monotonic()
        self._odd_since = self._odd_since or now
        if now - self._odd_since >= _MISMATCH_SECONDS:
            return False
        self._asked, self._target = False, None
        return True

    def _mismatch(self, committed: Committed) -> Verdict:
        """State and position do not agree."""
        if self.doubt():
            return Verdict.GOING_ON
        last = self.checkpoint.last
        found = f"position {last.source}, sequence {last.sequence}" if last else "no state"
        raise Stopped(
            f"{self.source.topic}-{self.source.partition}: the group stands at position "
            f"{committed.position}, sequence {committed.metadata or 'none'}, but the changelog "
            f"ends with {found}: positions were moved from outside, or the changelog lost records; "
            "set the group's position back to the changelog's, or replay"
        )
