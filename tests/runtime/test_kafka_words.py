"""How the door to Kafka reads errors, properties and metadata; no broker needed."""

import struct
import threading
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from pmstream.errors import ConfigurationError
from pmstream.properties import REFUSED, forbidden
from pmstream.runtime import kafka_admin, kafka_records
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.kafka_consumer import KafkaConsumer
from pmstream.runtime.kafka_errors import member_fault, request_failure, transaction_failure
from pmstream.runtime.kafka_producer import KafkaProducer
from pmstream.runtime.kafka_records import Ends, parse_metadata
from pmstream.runtime.kafka_writer import KafkaWriter
from pmstream.runtime.log import FaultKind, Log, TopicPartition
from pmstream.runtime.log_errors import (
    Again,
    Fenced,
    LogError,
    MustAbort,
    MustGather,
    OutcomeUnknown,
    Refused,
    Unavailable,
)

NOWHERE = "127.0.0.1:1"
PARTITION = TopicPartition("topic", 3)


def failed(code: int, **flags: bool) -> KafkaException:
    return KafkaException(KafkaError(code, "so it is", **flags))


@pytest.mark.parametrize(
    ("raised", "meaning"),
    [
        (failed(KafkaError._TIMED_OUT, retriable=True), Again),
        (failed(KafkaError.COORDINATOR_NOT_AVAILABLE, retriable=True), Again),
        (failed(KafkaError.ILLEGAL_GENERATION, txn_requires_abort=True), MustGather),
        (failed(KafkaError._INCONSISTENT, txn_requires_abort=True), MustAbort),
        (failed(KafkaError._FENCED, fatal=True), Fenced),
        (failed(KafkaError._FENCED), Fenced),
        (failed(KafkaError._FATAL, fatal=True), OutcomeUnknown),
        (failed(KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER, fatal=True), OutcomeUnknown),
        (failed(KafkaError._STATE), OutcomeUnknown),
        (failed(KafkaError._CONFLICT), OutcomeUnknown),
        (SystemError("returned a result with an exception set"), OutcomeUnknown),
        (RuntimeError("Handle has been closed"), OutcomeUnknown),
    ],
    ids=str,
)
def test_what_a_failed_call_of_a_transaction_means(
    raised: BaseException, meaning: type[LogError]
) -> None:
    failure = transaction_failure(raised, "commit")

    assert type(failure) is meaning
    assert "commit failed" in str(failure)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KafkaError(KafkaError._MAX_POLL_EXCEEDED), FaultKind.EXPELLED),
        (KafkaError(KafkaError._FATAL), FaultKind.FATAL),
        (KafkaError(KafkaError.FENCED_INSTANCE_ID, fatal=True), FaultKind.FATAL),
        (KafkaError(KafkaError._AUTO_OFFSET_RESET), FaultKind.POSITION_LOST),
        (KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART), FaultKind.REFUSED),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), FaultKind.REFUSED),
        (KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED), FaultKind.REFUSED),
        (KafkaError(KafkaError._ALL_BROKERS_DOWN), None),
        (KafkaError(KafkaError._TRANSPORT), None),
        (KafkaError(KafkaError._RESOLVE), None),
        (KafkaError(KafkaError.NOT_COORDINATOR), None),
    ],
    ids=lambda value: value.name() if isinstance(value, KafkaError) else str(value),
)
def test_what_a_message_error_means_to_a_member(error: KafkaError, kind: FaultKind | None) -> None:
    fault = member_fault(error, PARTITION, "member w0")

    assert (fault and fault.kind) == kind
    if fault is not None:
        assert fault.text.count("w0") == 1
        assert fault.where == (PARTITION if kind is FaultKind.POSITION_LOST else None)


@pytest.mark.parametrize(
    ("raised", "meaning"),
    [
        (failed(KafkaError._TIMED_OUT), Unavailable),
        (failed(KafkaError._TRANSPORT), Unavailable),
        (TimeoutError(), Unavailable),
        (failed(KafkaError.TOPIC_ALREADY_EXISTS), Refused),
        (failed(KafkaError.CLUSTER_AUTHORIZATION_FAILED), Refused),
    ],
    ids=repr,
)
def test_what_a_failed_question_means(raised: BaseException, meaning: type[LogError]) -> None:
    assert type(request_failure(raised, "asking", NOWHERE)) is meaning


def test_properties_that_exactly_once_rests_on_are_refused_with_the_reason() -> None:
    faults = forbidden({"isolation.level": "read_uncommitted", "acks": "1", "linger.ms": "0"})

    assert len(faults) == 2
    assert faults[0].startswith("Kafka property acks cannot be set, because ")
    assert faults[1].startswith("Kafka property isolation.level cannot be set, because ")


@pytest.mark.parametrize("name", ["stats_cb", "on_commit", " ACKS "])
def test_callbacks_and_other_spellings_are_refused_too(name: str) -> None:
    assert len(forbidden([name])) == 1


def test_security_passes_through() -> None:
    assert forbidden(["security.protocol", "sasl.password", "ssl.ca.location"]) == []


def test_a_log_refuses_all_forbidden_properties_at_once() -> None:
    with pytest.raises(ConfigurationError) as refused:
        KafkaLog(NOWHERE, dict.fromkeys(REFUSED, "1"))

    assert len(refused.value.faults) == len(REFUSED)


@pytest.mark.parametrize("properties", [{"no.such": "1"}, {"linger.ms": "soon"}])
def test_a_log_refuses_properties_that_librdkafka_does_not_know(properties: Any) -> None:
    with pytest.raises(ConfigurationError):
        KafkaLog(NOWHERE, properties)


def test_metadata_of_a_group_is_read() -> None:
    token = b"CGMDv2:" + struct.pack("=i", 7) + b"group\0member-1\0w0\0"

    assert parse_metadata(token) == (7, "member-1")


def test_metadata_of_another_layout_is_refused() -> None:
    with pytest.raises(Refused, match="CGMDv3"):
        parse_metadata(b"CGMDv3:" + bytes(20))


def test_an_open_transaction_ends_what_can_be_read() -> None:
    ends = Ends()
    ends.learn('{"topics":{"topic":{"partitions":{"3":{"ls_offset":10,"hi_offset":20}}}}}')

    assert ends.readable(PARTITION, 4, 25) == 10
    assert ends.readable(PARTITION, 11, 25) == 25, "read beyond it: it has ended since"
    assert ends.readable(TopicPartition("topic", 4), 4, 25) == 25


def test_an_unreachable_address_is_named_quickly_and_quietly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(kafka_admin, "UNREACHABLE_AFTER", 0.5)
    log: Log = KafkaLog(NOWHERE)

    for question in (log.topics, lambda: log.config("topic"), lambda: log.members("group")):
        with pytest.raises(Unavailable, match=NOWHERE):
            question()

    assert log.end(PARTITION, stable=True) is None
    assert capfd.readouterr() == ("", "")


def test_a_producer_does_not_wait_for_ever() -> None:
    settings = {"bootstrap.servers": NOWHERE, "transactional.id": "id", "log_level": 0}

    with pytest.raises(Unavailable, match=NOWHERE):
        KafkaProducer(settings, NOWHERE, deadline=0.5)


class Stuck:
    """A client of librdkafka whose close does not come back until it is let."""

    def __init__(self) -> None:
        self.let, self.ended = threading.Event(), threading.Event()
        self.polls = 0

    def poll(self, timeout: float) -> None:
        self.polls += 1

    def close(self) -> None:
        self.let.wait()
        self.ended.set()


def test_a_member_that_does_not_close_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kafka_records, "CLOSE_SECONDS", 0.01)
    client = Stuck()

    kafka_records.close_member(client, lambda: client.polls > 2)  # type: ignore[arg-type]

    assert client.polls == 3, "it is heard out first"
    assert not client.ended.is_set()
    assert "did not close" in caplog.text
    client.let.set()
    assert client.ended.wait(10)


def test_a_member_may_be_closed_twice() -> None:
    consumer = KafkaConsumer({"bootstrap.servers": NOWHERE, "group.id": "g", "log_level": 0}, "w-0")

    consumer.close()
    consumer.close()


class Bare:
    """A client that raises the binding's error itself, as it can once it has met a fatal one."""

    def flush(self, timeout: float) -> int:
        raise KafkaError(KafkaError.CLUSTER_AUTHORIZATION_FAILED, "not you", fatal=True)  # type: ignore[misc]


def test_an_error_that_is_no_exception_is_one_for_who_writes() -> None:
    writer = KafkaWriter({"bootstrap.servers": NOWHERE})
    writer._client = Bare()  # type: ignore[assignment]

    with pytest.raises(Refused, match="the client has ended: not you") as raised:
        writer.flush(1)

    assert raised.value.__context__ is None
