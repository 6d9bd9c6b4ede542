"""The bank: accounts that do what transfers ask of them, and tell it, exactly once.

It reads commands, writes events, and replies to who asks for it. Commands read, events and replies
written and balances changed count in one transaction or not at all, so money is neither lost nor
made, whatever dies in between. Balances live in a compacted topic that only this service writes,
and in memory while it runs; so does what became of commands that ask: one that comes again (its
process manager heard nothing in time) is answered again, not done again.
"""

from collections.abc import Callable, Iterable, Sequence

from msgspec import Struct

from pmstream import replies
from pmstream.examples.accounts import OPENING_BALANCE, account_of, decide
from pmstream.examples.tables import read_table
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import (
    Committed,
    Fault,
    FaultKind,
    Headers,
    Log,
    Producer,
    Record,
    TopicPartition,
)
from pmstream.runtime.log_errors import (
    Again,
    MustAbort,
    OffsetPending,
    OutcomeUnknown,
    Refused,
)
from pmstream.runtime.received import Received

COMMANDS, EVENTS, BALANCES = "bank.account-commands", "bank.accounts", "bank.balances"
OUTCOMES = "bank.outcomes"
GROUP, MEMBER = "bank.accounts-service", "bank-0"
TRANSACTIONAL_ID = f"{GROUP}.{MEMBER}"

BATCH = 1_000

OUTCOMES_KEPT_MS = 86_400_000
"""How long its topic keeps what became of a command that asked: longer than anyone asks again."""

MOST_OUTCOMES = 100_000
"""So many commands that asked are remembered, the latest."""

_PATIENCE_SECONDS, _CALL_SECONDS, _DEADLINE_SECONDS = 0.1, 2.0, 60.0

Decode = Callable[[str, bytes], object]
"""Topic and bytes to a message."""

Encode = Callable[[str, Struct], bytes]
"""Topic and message to bytes."""


class Batch:
    """What some commands do to the accounts; counts once its transaction is committed."""

    def __init__(self) -> None:
        self.events: list[tuple[bytes, bytes, Headers]] = []
        self.balances: dict[str, int] = {}
        self.outcomes: dict[bytes, str] = {}
        self.replies: list[replies.Answer] = []
        self.positions: dict[TopicPartition, int] = {}


class Bank:
    """The accounts, one process of them: its one transactional id keeps a second one out.

    Args:
        log: the cluster.
        clock: for deadlines.
        decode: reads a command.
        encode: writes an event.
        traced: makes spans of commands; None: nobody does.
    """

    def __init__(
        self,
        log: Log,
        clock: Clock,
        decode: Decode,
        encode: Encode,
        traced: Received | None = None,
    ) -> None:
        self._traced = traced
        self._log, self._clock, self._decode, self._encode = log, clock, decode, encode
        self._owned: set[TopicPartition] = set()
        self._positions: dict[TopicPartition, int] = {}  # of those that are read
        self._fault: Fault | None = None
        # In this order: the producer ends what a dead predecessor left open and fences a living
        # one, so nobody writes behind the balances that are read next.
        self._producer: Producer = log.producer(TRANSACTIONAL_ID)
        self._read()
        self._consumer = log.consumer(GROUP, MEMBER)
        self._consumer.subscribe([COMMANDS], self)

    def run(self, stop: Callable[[], bool]) -> None:
        """Serves until told to stop."""
        try:
            while not stop():
                self.turn()
        finally:
            self.close()

    def turn(self) -> int:
        """Does the commands at hand; answers how many count."""
        self._start_partitions()
        gathered = self._consumer.gather(BATCH, _PATIENCE_SECONDS)
        if self._fault is not None:
            raise Refused(self._fault.text)
        records = [each for each in gathered if self._is_next(each)]
        if not records:
            return 0
        batch = self._handle(records)
        counts, reason = self._commit(batch)
        if self._traced is not None:
            self._traced.decided(reason, counts=counts)
        return len(records) if counts else 0

    def close(self) -> None:
        """Frees everything; what is not committed is done by the next one."""
        self._consumer.close()
        self._producer.drop()

    # Partitions: what gather tells.

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Takes note; `turn` finds the positions and begins to read."""
        self._owned.update(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        """Reads no more of these."""
        for each in partitions:
            self._owned.discard(each)
            self._positions.pop(each, None)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        """As revoked."""
        self.revoked(partitions)

    def fault(self, fault: Fault) -> None:
        """Ends the service unless it is only expelled, or a position it does not read is lost."""
        if fault.kind is FaultKind.EXPELLED:
            self.revoked(list(self._owned))
        elif fault.where is None or fault.where in self._positions:
            self._fault = fault

    def _start_partitions(self) -> None:
        for partition in self._owned - self._positions.keys():
            try:
                committed = self._consumer.committed(partition, _CALL_SECONDS)
                position = committed.position if committed else self._log.start(partition)
                if position is not None:
                    self._consumer.seek(partition, position)
                    self._consumer.resume([partition])
                    self._positions[partition] = position
            except (OffsetPending, Again):
                continue  # the next turn asks again

    def _stop_partitions(self) -> None:
        """Drops what is in hand; the next turn begins again where the group stands."""
        self._consumer.pause(self._positions)
        self._positions = {}

    def _is_next(self, record: Record) -> bool:
        position = self._positions.get(TopicPartition(record.topic, record.partition))
        return position is not None and record.offset >= position

    # Commands

    def _handle(self, records: Iterable[Record]) -> Batch:
        batch = Batch()
        for each in records:
            record = each if self._traced is None else self._traced.record(each)
            batch.positions[TopicPartition(record.topic, record.partition)] = record.offset + 1
            command = self._decode(record.topic, record.value) if record.value else None
            id = dict(record.headers).get("command-id") or b""
            asked = bool(dict(record.headers).get("reply-to"))
            if asked and (id in self._outcomes or id in batch.outcomes):
                self._reply(batch, record, batch.outcomes.get(id, self._outcomes.get(id, "")))
                continue
            account = account_of(command)
            balance = batch.balances.get(account, self._balances.get(account, OPENING_BALANCE))
            done = decide(command, balance, asked=asked)
            if done.event is not None:
                value = self._encode(EVENTS, done.event)
                batch.events.append((done.key.encode(), value, event_headers(record)))
            if done.account:
                batch.balances[done.account] = balance + done.change
            if asked:
                batch.outcomes[id] = done.refusal
                self._reply(batch, record, done.refusal)
        if self._traced is not None:
            self._traced.rest()
        return batch

    def _reply(self, batch: Batch, command: Record, refusal: str) -> None:
        headers = command.headers
        reply = replies.reject(headers, refusal) if refusal else replies.accept(headers)
        if reply is not None:
            batch.replies.append(reply)

    def _read(self) -> None:
        self._balances = read_balances(self._log, self._clock)
        outcomes = read_table(self._log, self._clock, OUTCOMES)
        self._outcomes = {id: refusal.decode() for id, refusal in outcomes.items()}

    # The transaction

    def _commit(self, batch: Batch) -> tuple[bool | None, str]:
        """Makes the batch count; else it has to be done again. None: nobody knows; and why."""
        try:
            try:
                self._transact(batch)
            except MustAbort as error:
                self._decided(lambda: self._producer.abort(_CALL_SECONDS))
                self._stop_partitions()
                return False, str(error)
        except OutcomeUnknown as error:
            # It may count or not: whoever reads balances and positions again will know.
            self._producer.drop()
            self._producer = self._log.producer(TRANSACTIONAL_ID)
            self._read()
            self._stop_partitions()
            return None, str(error)
        self._balances.update(batch.balances)
        self._outcomes.update(batch.outcomes)
        while len(self._outcomes) > MOST_OUTCOMES:
            del self._outcomes[next(iter(self._outcomes))]
        self._positions.update(batch.positions)
        return True, ""

    def _transact(self, batch: Batch) -> None:
        producer, group = self._producer, self._consumer.membership()
        producer.begin()
        if group is None:
            raise MustAbort("no member of the group at this moment")
        for key, value, headers in batch.events:
            producer.produce(EVENTS, value, key, headers)
        for account, balance in batch.balances.items():
            producer.produce(BALANCES, str(balance).encode(), account.encode())
        for id, refusal in batch.outcomes.items():
            producer.produce(OUTCOMES, refusal.encode(), id)
        for each in batch.replies:
            producer.produce(each.topic, each.value, each.key, each.headers, each.partition)
        offsets = {each: Committed(position) for each, position in batch.positions.items()}
        self._decided(lambda: producer.flush(_CALL_SECONDS))
        self._decided(lambda: producer.send_offsets(group, offsets, _CALL_SECONDS))
        self._decided(lambda: producer.commit(_CALL_SECONDS), may_count=True)

    def _decided(self, call: Callable[[], None], *, may_count: bool = False) -> None:
        """Repeats the identical call until the log decides; one unanswered may have counted."""
        until, unanswered = self._clock.monotonic() + _DEADLINE_SECONDS, False
        while True:
            try:
                return call()
            except Again as error:
                unanswered = True
                if self._clock.monotonic() > until:
                    raise OutcomeUnknown(str(error)) from error
                self._clock.sleep(0.01)
            except MustAbort as error:
                if may_count and unanswered:
                    raise OutcomeUnknown(str(error)) from error
                raise


def event_headers(command: Record) -> Headers:
    """Headers of the event that answers a command: its id comes from the command's."""
    headers = dict(command.headers)
    id = headers.get("command-id") or b"%d-%d" % (command.partition, command.offset)
    kept = [(name, headers[name]) for name in ("correlation-id", "traceparent") if name in headers]
    return (("event-id", id + b"/done"), ("causation-id", id), *kept)


def read_balances(log: Log, clock: Clock) -> dict[str, int]:
    """Account to balance, as committed. Raises Unavailable."""
    found = read_table(log, clock, BALANCES)
    return {account.decode(): int(balance) for account, balance in found.items()}
