"""The loop of either stage: gather, process, commit; assigned, revoked, lost.

Rule: no transaction is open while the consumer gathers, and author code never runs inside one, but
for `interested`, ahead of a record's turn.
"""

from collections.abc import Callable, Sequence
from functools import partial
from time import time_ns

from msgspec import Struct

from pmstream.config import Settings
from pmstream.errors import Stopped
from pmstream.runtime.ahead import Ahead
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Aborted, Probe, commit
from pmstream.runtime.log import Fault, FaultKind, Log, Producer, Record, TopicPartition
from pmstream.runtime.log_errors import Again, Fenced, MustGather, OutcomeUnknown, Unavailable
from pmstream.runtime.spans import Transaction
from pmstream.runtime.stage import Load, Stage
from pmstream.runtime.tally import Tally
from pmstream.runtime.trail import Trail
from pmstream.runtime.vitals import Vitals

FENCED_TWICE_SECONDS = 30.0
"""Two fences within this time: somebody else uses the same transactional id."""

ABORTS_OF_ONE = 3
"""A single input whose transaction aborts so often stops the process manager."""

IDLE_SECONDS = 0.1
"""How long a turn of a worker that has nothing to do waits for a record."""

_LISTENING_SECONDS = 0.005  # a reply is seen between two gathers only
_AGAIN_SECONDS = 0.01  # a rebalance takes its time: do not handle the same batch at full speed
_REBUILD_SECONDS = 60.0


class Identity(Struct, frozen=True):
    """Under which names a worker is known to the log; all stable over restarts.

    Attributes:
        group: its consumer group.
        transactional_id: of its producer.
        member: its static membership in the group.
    """

    group: str
    transactional_id: str
    member: str


class Worker:
    """One consumer, one transactional producer, one stage.

    Args:
        log: the cluster.
        stage: what to do with records.
        identity: its names.
        settings: limits and times.
        probe: told each step of a commit.
        trail: keeps the spans of a batch; None when tracing is off.
    """

    def __init__(
        self,
        log: Log,
        stage: Stage,
        identity: Identity,
        settings: Settings,
        clock: Clock,
        probe: Probe = lambda _step: None,
        trail: Trail | None = None,
    ) -> None:
        self._log, self.stage, self._clock, self._probe = log, stage, clock, probe
        self._settings, self._id = settings, identity.transactional_id
        self._trail = trail
        self._producer: Producer = log.producer(self._id)
        self._consumer = log.consumer(identity.group, identity.member)
        self._consumer.subscribe(stage.topics, self)
        self._fault: Exception | None = None
        self._room = settings.max_batch_records
        self._staged_since: float | None = None
        self._fenced_at = -FENCED_TWICE_SECONDS
        self._aborted_alone = 0
        self._full_gather = False
        self._ahead = Ahead(stage, clock)
        self.report = Tally()

    # The listener: called inside gather only; never raises, never blocks.

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; they are opened and restored outside of the callback."""
        self.report.rebalances += 1
        self.stage.assigned(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Drops partitions with all that is not committed: no transaction is open here."""
        self.stage.dropped(partitions)
        if self._trail is not None:
            self._trail.dropped(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """As revoked: somebody else may own them already."""
        self.revoked(partitions)

    def fault(self, fault: Fault) -> None:
        """Keeps what must end the worker, until gather has returned."""
        if fault.kind is FaultKind.EXPELLED:
            self.stage.dropped_all()
            self._settle()
        elif fault.where is None or self.stage.is_running(fault.where):
            self._fault = Stopped(fault.text)

    # The loop

    def run(self, stop: Callable[[], bool]) -> None:
        """Turns until `stop` says so; then what is staged is committed and all is closed.

        Raises:
            Stopped: the process manager stopped itself, or a rule of safety did.
        """
        try:
            while not stop():
                self.turn()
            self._commit()
        finally:
            self.close()

    def turn(self, patience: float = IDLE_SECONDS) -> None:
        """One round of the loop.

        Args:
            patience: seconds to wait for a record at most; less where workers share a thread.
        """
        self.stage.catch_up(self._consumer)
        self.stage.take(self._gather(patience))
        self.stage.process(self._clock.now(), self._room)
        halt = self.stage.halt
        if self._is_due() or halt:
            if not self._commit():
                self._clock.sleep(_AGAIN_SECONDS)
            elif halt and self.stage.halt:
                raise Stopped(halt)

    def vitals(self) -> Vitals:
        """What it can tell of itself, for health and metrics."""
        found = self.stage.vitals(self._consumer)
        found.joined = self._consumer.membership() is not None
        found.values |= {
            "worker_joined": float(found.joined),
            "waiting_records": self.stage.load().waiting,
            **self.report.values(),
        }
        if self._trail is not None:
            found.values |= self._trail.values()
        return found

    def close(self) -> None:
        """Closes stores, leaves the group (a static member stays), drops the producer."""
        self._settle()
        self.stage.close()
        self._consumer.close()
        self._producer.drop()

    def _gather(self, most: float = IDLE_SECONDS) -> list[Record]:
        load = self.stage.load()
        room = max(2 * self._settings.max_batch_records - load.waiting, 0)
        records = self._consumer.gather(room, self._patience(load, most))
        self._full_gather = len(records) >= room or load.waiting > 0
        if self._fault is not None:
            raise self._fault
        return records

    def _patience(self, load: Load, most: float) -> float:
        """How long gather may wait for a record, in seconds."""
        if load.waiting and load.staged < self._room:
            return 0.0
        limits = [most, 0.01 if load.busy else _LISTENING_SECONDS if load.listens else IDLE_SECONDS]
        if load.due_in_ms is not None:
            limits.append(load.due_in_ms / 1000)
        if self._staged_since is not None:
            limits.append(self._staged_since + self._interval() - self._clock.monotonic())
        return max(min(limits), 0.0)

    def _interval(self) -> float:
        """Seconds that a batch may grow: less when there is no lag to work off."""
        interval = self._settings.commit_interval_ms / 1000
        return interval if self._full_gather else interval / 4

    def _is_due(self) -> bool:
        load = self.stage.load()
        if not load.staged:
            self._staged_since = None
            return False
        now = self._clock.monotonic()
        if self._staged_since is None:
            self._staged_since = now
        return (
            load.staged >= self._room
            or load.staged_bytes >= self._settings.max_batch_bytes
            or now >= self._staged_since + self._interval()  # as in _patience, to the last bit
        )

    # The commit

    def _commit(self) -> bool:
        """Commits what is staged; False when it has to be done again."""
        self._staged_since = None
        group = self._consumer.membership()
        if group is None:  # the broker would accept it unfenced
            self.stage.rollback()
            self._settle()
            return False
        inputs = self.stage.load().staged
        slices = self.stage.slices(group.generation)
        if not slices:
            return True
        sent, began = sum(each.sent for each in slices), self._clock.monotonic()
        settled = partial(self._settle, [each.source for each in slices], time_ns())
        try:
            commit(
                slices,
                self._producer,
                group,
                self._clock,
                self._settings.commit_deadline_ms,
                self._probe,
                self._ahead,
            )
        except Aborted as error:
            settled(Transaction.ABORTED, error)
            self._aborted(error, inputs)
            return False
        except OutcomeUnknown as error:
            settled(Transaction.UNKNOWN, error)
            self._rebuild(error)
            return False
        finally:
            self.report.open_seconds.add(self._clock.monotonic() - began)
        settled(Transaction.COMMITTED)
        self.report.committed(inputs, sent)
        self._aborted_alone = 0
        self._room = min(self._room * 2, self._settings.max_batch_records)
        return True

    def _settle(
        self,
        places: Sequence[TopicPartition] = (),
        began: int | None = None,
        transaction: Transaction = Transaction.DROPPED,
        reason: object = "",
    ) -> None:
        """The spans of the batch learn what became of it."""
        if self._trail is not None:
            self._trail.settle(transaction, places, began, reason)

    def _aborted(self, error: Aborted, inputs: int) -> None:
        """Does the batch again, smaller, so that one input that can never count is found."""
        self.report.aborted(error)
        self.stage.rollback()
        if isinstance(error.__cause__, MustGather):
            return  # no input is to blame for a rebalance
        self._room = max(inputs // 2, 1)
        self._aborted_alone = self._aborted_alone + 1 if inputs <= 1 else 0
        if self._aborted_alone >= ABORTS_OF_ONE:
            raise Stopped(f"one input's transaction was refused {ABORTS_OF_ONE} times: {error}")

    def _rebuild(self, error: OutcomeUnknown) -> None:
        """Makes a new producer with the same id, then reads every position again."""
        self.report.rebuilt(error)
        now = self._clock.monotonic()
        if isinstance(error, Fenced):
            self.report.fences += 1
            if now - self._fenced_at < FENCED_TWICE_SECONDS:
                raise Stopped(
                    f"another process uses transactional.id {self._id}: give each worker its "
                    f"own name ({error})"
                ) from error
            self._fenced_at = now
        self._producer.drop()
        self._producer = self._new_producer(now + _REBUILD_SECONDS)
        self.stage.restart(self._consumer)

    def _new_producer(self, until: float) -> Producer:
        while True:
            try:
                return self._log.producer(self._id)
            except (Again, Unavailable):
                if self._clock.monotonic() > until:
                    raise
                self._clock.sleep(0.1)
