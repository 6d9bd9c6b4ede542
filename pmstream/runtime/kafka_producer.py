"""A producer on Kafka, with transactions: the workers'.

Rule: an exception from `produce` means "must abort", because the transaction is not poisoned and
would commit without that record (F12).
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

import confluent_kafka as ck
from confluent_kafka import KafkaError

from pmstream.runtime.kafka_errors import (
    RAISED,
    kafka_error,
    reason,
    transaction_failure,
    unavailable,
)
from pmstream.runtime.log import Committed, Delivered, Headers, Membership, TopicPartition
from pmstream.runtime.log_errors import Again, Fenced, LogError, MustAbort, OutcomeUnknown, Refused
from pmstream.runtime.meanwhile import Meanwhile, Waiting, idle

INIT_DEADLINE = 60.0
"""Seconds in which a transactional id must become ours."""

_INIT_TRY = 5.0
_TAKEOVER_LOOK = 0.05


class KafkaProducer:
    """`Producer` on Kafka.

    Args:
        settings: all librdkafka settings, `transactional.id` among them.
        address: the bootstrap servers, for messages.
        deadline: seconds until the id must be ours.

    Raises:
        Unavailable: no coordinator answered in time.
        Refused: the id, or its timeout, is not allowed.
    """

    def __init__(
        self, settings: Mapping[str, Any], address: str, deadline: float = INIT_DEADLINE
    ) -> None:
        self.transactional_id: str = settings["transactional.id"]
        self._settings, self._address, self._deadline = settings, address, deadline
        self._client: Any = _ready(settings, address, deadline)
        self._skipped = False  # a record was refused: its sequence number is missing
        self._waiting = Waiting()

    def begin(self) -> None:
        """Opens a transaction. Raises OutcomeUnknown."""
        try:
            self._client.begin_transaction()
        except RAISED as raised:
            raise _final(transaction_failure(raised, "begin")) from raised

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """Hands over one record. Raises MustAbort when it was not taken."""
        try:
            where = -1 if partition is None else partition
            if delivered is not None:
                told, own = _on_delivery(delivered), list(headers) or None
                self._client.produce(topic, value, key, where, on_delivery=told, headers=own)
            elif headers:
                self._client.produce(topic, value, key, where, headers=list(headers))
            else:
                self._client.produce(topic, value, key, where)
        except LogError:
            raise
        except Exception as raised:
            raise MustAbort(f"a record for {topic} was not taken: {reason(raised)}") from raised

    def flush(self, timeout: float, meanwhile: Meanwhile = idle) -> None:
        """Waits until the log has taken all records. Raises Again, OutcomeUnknown."""
        while len(self._client) and meanwhile():
            self._ask("flush", self._client.poll, 0)
        left = self._ask("flush", self._client.flush, timeout)
        if left > 0:
            raise Again(f"{left} records are still on their way")

    def send_offsets(
        self,
        group: Membership,
        offsets: Mapping[TopicPartition, Committed],
        timeout: float,
        meanwhile: Meanwhile = idle,
    ) -> None:
        """Puts the group's positions into the transaction. Raises Again, MustAbort, ..."""
        positions = [
            ck.TopicPartition(t, p, at, metadata=metadata)
            for (t, p), (at, metadata) in offsets.items()
        ]
        call = self._client.send_offsets_to_transaction
        send = partial(self._ask, "sending positions", call, positions, group.token, timeout)
        self._waiting.call(send, meanwhile)

    def commit(self, timeout: float) -> None:
        """Raises Again, MustAbort, OutcomeUnknown. After Again only `commit` may follow."""
        self._ask("commit", self._client.commit_transaction, timeout)

    def abort(self, timeout: float) -> None:
        """Raises Again, OutcomeUnknown. Takes half a second more after a refused record."""
        try:
            self._client.abort_transaction(timeout)
        except RAISED as raised:
            failure = transaction_failure(raised, "abort")
            raise failure if isinstance(failure, Again) else _final(failure) from raised
        if self._skipped:
            self._renew()

    def _ask(self, doing: str, call: Callable[..., Any], *args: object) -> Any:
        """What the client answers; what it raises, in the words of the port."""
        try:
            return call(*args)
        except RAISED as raised:
            raise self._failed(raised, doing) from raised

    def _failed(self, raised: BaseException, doing: str) -> LogError:
        error = kafka_error(raised)
        self._skipped = self._skipped or (error is not None and error.code() in _RECORD_REFUSED)
        return transaction_failure(raised, doing)

    def _renew(self) -> None:
        """Counts sequence numbers anew, after one was spent on a record the broker refused.

        Else the next record to that partition fails with OUT_OF_ORDER_SEQUENCE_NUMBER, and a
        search for the culprit blames an innocent record.
        """
        try:
            self._client = _ready(self._settings, self._address, self._deadline)
        except LogError as raised:
            raise _final(raised) from raised
        self._skipped = False

    def drop(self) -> None:
        """Lets go without closing: close() raises once fenced, and would abort (F5)."""
        self._client = _Dropped()
        self._waiting.end()


class _Dropped:
    def __getattr__(self, name: str) -> NoReturn:
        raise OutcomeUnknown("this producer was dropped")

    def __len__(self) -> NoReturn:
        raise OutcomeUnknown("this producer was dropped")


def abort_open(
    settings: Mapping[str, Any], address: str, timeout: float, is_enough: Callable[[], bool]
) -> None:
    """Ends what a transactional id has open, by a throw-away producer of that id.

    A broker that has to abort does so and asks to come back; the client does, half a second later.
    Whoever sees before that what was wanted neither waits for it nor lets it happen: the second
    call would fence an owner who lives after all and has a new producer by then.

    Raises:
        Again: not known to be done within so many seconds.
        Refused: the id is not allowed.
    """
    until = time.monotonic() + timeout
    client = ck.Producer(dict(settings))
    while True:
        try:
            client.init_transactions(min(_TAKEOVER_LOOK, timeout))
        except RAISED as raised:
            failure = _init_failure(raised, settings["transactional.id"])
            if failure is not None and not isinstance(failure, Again):
                raise failure from raised
            if is_enough():
                return
            if time.monotonic() > until:
                raise Again(f"takeover at {address} is not done: {reason(raised)}") from raised
        else:
            return


def _ready(settings: Mapping[str, Any], address: str, deadline: float) -> ck.Producer:
    """A producer whose id is ours; init_transactions is resumed while it only timed out."""
    until = time.monotonic() + deadline
    client = ck.Producer(dict(settings))
    while True:
        left = until - time.monotonic()
        try:
            client.init_transactions(max(0.1, min(_INIT_TRY, left)))
        except RAISED as raised:
            failure = _init_failure(raised, settings["transactional.id"])
            if failure is not None and not isinstance(failure, Again):
                raise failure from raised
            if time.monotonic() >= until:
                raise unavailable(address, reason(raised)) from raised
            if failure is None:  # fatal for this client only: another one began at the same time
                client = ck.Producer(dict(settings))
                time.sleep(0.1)
        else:
            return client


def _init_failure(raised: BaseException, name: str) -> LogError | None:
    """Again, Refused, or None: this client is spent, another one may succeed."""
    failure = transaction_failure(raised, f"taking transactional.id {name}")
    error = kafka_error(raised)
    if isinstance(failure, Again | Fenced):
        return failure if isinstance(failure, Again) else None
    if error is not None and error.code() in _TEMPORARY_AT_INIT:
        return None
    return Refused(str(failure))


_RECORD_REFUSED = frozenset(
    {
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_RECORD,
        KafkaError.INVALID_MSG,
        KafkaError.INVALID_MSG_SIZE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.POLICY_VIOLATION,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.UNSUPPORTED_COMPRESSION_TYPE,
    }
)
_TEMPORARY_AT_INIT = frozenset(
    {KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.CONCURRENT_TRANSACTIONS}
)


def _final(failure: LogError) -> OutcomeUnknown:
    """A failing begin or abort leaves nothing to try with this producer."""
    return failure if isinstance(failure, OutcomeUnknown) else OutcomeUnknown(str(failure))


def _on_delivery(delivered: Delivered) -> Callable[[KafkaError | None, ck.Message], None]:
    def told(error: KafkaError | None, message: ck.Message) -> None:
        # Only the test for None: with a fatal error pending, touching it breaks flush (F5).
        if error is None:
            offset = message.offset()
            delivered(-1 if offset is None else offset)

    return told
