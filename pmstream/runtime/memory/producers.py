"""Producers of the memory log, with and without transactions.

Rule: as with librdkafka, `produce` only queues; what the log thinks of it comes with the next call
that talks to it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import cast

from pmstream.runtime.log import Committed, Delivered, Headers, Membership, TopicPartition
from pmstream.runtime.log_errors import Fenced, MustAbort, OutcomeUnknown, Refused
from pmstream.runtime.meanwhile import Meanwhile, idle
from pmstream.runtime.memory.broker import Broker
from pmstream.runtime.memory.group import Token
from pmstream.runtime.memory.hooks import Hooks, hooked
from pmstream.runtime.memory.partition import Transaction

_Queued = tuple[str, bytes | None, bytes | None, Headers, int | None, Delivered | None]


class _State(StrEnum):
    READY = "no transaction is open"
    OPEN = "a transaction is open"
    COMMITTING = "commit was asked for, its answer is not known"
    ABORTING = "abort was asked for, its answer is not known"
    BROKEN = "the producer is of no more use"


class MemoryProducer:
    """A transactional producer; made by `MemoryLog.producer`."""

    def __init__(self, broker: Broker, hooks: Hooks, transactional_id: str) -> None:
        self.transactional_id = self.who = transactional_id
        self.hooks = hooks
        self._broker = broker
        self._epoch = broker.register(transactional_id)
        self._state = _State.READY
        self._poison = ""
        self._queue: list[_Queued] = []
        self._transaction: Transaction | None = None

    @hooked
    def begin(self) -> None:
        """See `Producer.begin`."""
        self._need(_State.READY)
        self._state = _State.OPEN

    @hooked
    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """See `Producer.produce`."""
        if self._state is not _State.OPEN or self._poison:
            self._need(_State.OPEN)
        self._queue.append((topic, value, key, headers, partition, delivered))

    @hooked
    def flush(self, timeout: float, meanwhile: Meanwhile = idle) -> None:
        """See `Producer.flush`."""
        self._need(_State.OPEN)
        meanwhile()
        self._send()

    @hooked
    def send_offsets(
        self,
        group: Membership,
        offsets: Mapping[TopicPartition, Committed],
        timeout: float,
        meanwhile: Meanwhile = idle,
    ) -> None:
        """See `Producer.send_offsets`."""
        self._need(_State.OPEN)
        meanwhile()
        self._send()
        transaction = self._opened()
        token = cast("Token", group.token)
        found = self._broker.group(token.group)
        try:
            found.check(token.member, token.name, group.generation)
        except MustAbort as error:
            self._poison = str(error)
            raise
        order = self._broker.number()
        for where, position in offsets.items():
            found.pending.setdefault(where, set()).add(transaction)
            transaction.offsets[token.group, where] = (order, position)

    @hooked
    def commit(self, timeout: float) -> None:
        """See `Producer.commit`."""
        if self._state is not _State.COMMITTING:
            self._need(_State.OPEN)
        self._send()
        self._state = _State.COMMITTING
        self._end(commit=True)

    @hooked
    def abort(self, timeout: float) -> None:
        """See `Producer.abort`."""
        if self._state is not _State.ABORTING:
            self._poison = ""
            self._need(_State.OPEN)
            self._state = _State.ABORTING
        self._queue.clear()
        self._end(commit=False)

    def drop(self) -> None:
        """See `Producer.drop`."""
        self._state = _State.BROKEN

    def injected(self, call: str, error: BaseException | None) -> None:
        """Takes the state that librdkafka has after this error of this call."""
        if isinstance(error, OutcomeUnknown):
            self._state = _State.BROKEN
        elif call == "produce":
            pass  # not poisoned: the transaction would commit without that record (F12)
        elif isinstance(error, MustAbort):
            self._poison = str(error) or "injected"
            self._state = _State.OPEN
        elif call == "commit":
            self._state = _State.COMMITTING
        elif call == "abort":
            self._state = _State.ABORTING

    def _need(self, state: _State) -> None:
        if self._state is not state:
            raise OutcomeUnknown(f"wrong call: {self._state}")
        if self._poison:
            raise MustAbort(self._poison)

    def _opened(self) -> Transaction:
        """The transaction at the brokers, which begins with its first record or offset."""
        try:
            self._transaction = self._broker.opened(self.transactional_id, self._epoch)
        except Fenced:
            self._state = _State.BROKEN
            raise
        return self._transaction

    def _check_epoch(self) -> None:
        try:
            self._broker.check_epoch(self.transactional_id, self._epoch)
        except Fenced:
            self._state = _State.BROKEN
            raise

    def _send(self) -> None:
        """Sends what is queued; the log's refusals show here."""
        if not self._queue:
            return self._check_epoch()
        transaction, append = self._opened(), self._broker.append
        queue, self._queue = self._queue, []
        for topic, value, key, headers, partition, delivered in queue:
            try:
                offset = append(topic, value, key, headers, partition, transaction)
            except Refused as error:
                self._poison = self._poison or str(error)
                continue
            if delivered is not None:
                delivered(offset)
        if self._poison:
            self._state = _State.OPEN
            raise MustAbort(self._poison)
        return None

    def _end(self, *, commit: bool) -> None:
        """Commits or aborts; a repeated call finds it done."""
        self._check_epoch()
        transaction = self._transaction
        if transaction is not None and transaction.verdict is None:
            self._broker.decide(transaction, commit=commit)
        self._transaction = None
        self._state = _State.READY


class MemoryWriter:
    """A producer without transactions; made by `MemoryLog.writer`."""

    who = ""

    def __init__(self, broker: Broker, hooks: Hooks) -> None:
        self.hooks = hooks
        self._broker = broker
        self._error: Refused | None = None
        self._told: list[tuple[Delivered, int]] = []

    @hooked
    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """See `Writer.produce`; a refusal is raised by `flush`."""
        try:
            offset = self._broker.append(topic, value, key, headers, partition, None)
        except Refused as error:
            self._error = self._error or error
            return
        if delivered is not None:
            self._told.append((delivered, offset))

    @hooked
    def flush(self, timeout: float) -> None:
        """See `Writer.flush`."""
        told, self._told = self._told, []
        for delivered, offset in told:
            delivered(offset)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def injected(self, call: str, error: BaseException | None) -> None:
        """Has no state to take."""
