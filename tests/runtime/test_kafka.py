"""What the contract suite cannot ask of every log: how the door to Kafka deals with librdkafka."""

import ctypes
import sys
import time
from collections.abc import Callable
from importlib.metadata import files
from itertools import count
from typing import Any

import pytest

from pmstream.runtime import kafka_consumer
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import (
    Committed,
    Consumer,
    Fault,
    FaultKind,
    Log,
    Record,
    TopicPartition,
    TopicSpec,
)
from pmstream.runtime.log_errors import Fenced, Refused

pytestmark = pytest.mark.kafka
PATIENCE = 90.0
_numbers = count(1)


class Ear:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.owned: list[TopicPartition] = []
        self.told: list[str] = []
        self.faults: list[Fault] = []

    def assigned(self, partitions: Any) -> None:
        self.owned += partitions
        self.told += ["assigned"] * bool(partitions)

    def revoked(self, partitions: Any) -> None:
        self.told += ["revoked"] * bool(partitions)

    def lost(self, partitions: Any) -> None:
        self.told += ["lost"] * bool(partitions)

    def fault(self, fault: Fault) -> None:
        self.faults.append(fault)


@pytest.fixture
def servers(kafka: Any) -> str:
    return str(getattr(kafka, "bootstrap_servers", kafka))


@pytest.fixture
def log(servers: str) -> Log:
    return KafkaLog(servers, session_timeout_ms=6_000)


@pytest.fixture
def partition(log: Log) -> TopicPartition:
    topic = name("topic")
    log.create_topics([TopicSpec(topic, 1)])
    return TopicPartition(topic, 0)


def name(what: str) -> str:
    return f"{what}-{next(_numbers)}-{time.time_ns()}"


def write(log: Log, partition: TopicPartition, values: int) -> None:
    writer = log.writer()
    for value in range(values):
        writer.produce(partition.topic, b"%d" % value, b"key", (), partition.partition)
    writer.flush(10)


def measured(what: str) -> None:
    """Told, not asserted: a test that depends on speed is a defect (`pytest -s`)."""
    sys.stdout.write(f"\n{what}\n")


def until(condition: Callable[[], object], turn: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        turn()


def join(
    log: Log, group: str, partition: TopicPartition, member: str | None = None
) -> tuple[Consumer, Ear]:
    consumer, ear = log.consumer(group, member), Ear()
    consumer.subscribe([partition.topic], ear)
    until(lambda: ear.owned, lambda: consumer.gather(10, 0.05))
    return consumer, ear


def start(consumer: Consumer, partition: TopicPartition, position: int) -> None:
    consumer.seek(partition, position)
    consumer.resume([partition])


def test_a_killed_static_member_is_back_at_once(log: Log, partition: TopicPartition) -> None:
    group = name("group")
    first, _ = join(log, group, partition, "w0")
    before = first.membership()
    first.close()
    since = time.monotonic()

    second, ear = join(log, group, partition, "w0")

    measured(f"static member back after {time.monotonic() - since:.2f} s")
    after = second.membership()
    second.close()
    assert ear.owned == [partition]
    assert before is not None
    assert after is not None
    assert after.generation == before.generation


def test_a_member_has_no_membership_before_it_joined(log: Log, partition: TopicPartition) -> None:
    consumer = log.consumer(name("group"))
    assert consumer.membership() is None

    consumer.subscribe([partition.topic], Ear())

    assert consumer.membership() is None
    consumer.close()


def test_a_member_whose_name_was_taken_says_so_and_guards_nothing(
    log: Log, partition: TopicPartition
) -> None:
    group = name("group")
    old, ear = join(log, group, partition, "w0")
    new, _ = join(log, group, partition, "w0")

    until(lambda: ear.faults, lambda: [old.gather(1, 0.05), new.gather(1, 0.05)])

    old_membership, new_membership = old.membership(), new.membership()
    old.close()
    new.close()
    assert ear.faults[0].kind is FaultKind.FATAL
    assert "w0" in ear.faults[0].text
    assert old_membership is None
    assert new_membership is not None


def test_a_taken_over_producer_is_fenced(log: Log, partition: TopicPartition) -> None:
    consumer, _ = join(log, name("group"), partition)
    old = log.producer(name("id"))
    old.begin()
    old.produce(partition.topic, b"value", b"key", (), 0)
    old.flush(10)
    membership = consumer.membership()
    assert membership is not None
    old.send_offsets(membership, {partition: Committed(0, "1")}, 10)
    since = time.monotonic()

    log.abort_open(old.transactional_id, 3)

    until(lambda: log.end(partition, stable=True) == 2, lambda: None)
    measured(f"takeover after {time.monotonic() - since:.2f} s")
    with pytest.raises(Fenced):
        old.commit(10)
    old.drop()
    consumer.close()


def test_a_member_starts_above_what_was_purged(log: Log, partition: TopicPartition) -> None:
    """A fetch below the low watermark would end the partition: no seek revives it."""
    write(log, partition, 5)
    log.delete_records({partition: 3})
    consumer, ear = join(log, name("group"), partition)
    for _ in range(10):
        assert consumer.gather(10, 0.05) == []
    records: list[Record] = []
    since = time.monotonic()

    start(consumer, partition, 3)
    until(lambda: records, lambda: records.extend(consumer.gather(10, 0.05)))

    measured(f"first record after {time.monotonic() - since:.3f} s")
    consumer.close()
    assert [record.offset for record in records] == [3, 4]
    assert ear.faults == []


def test_records_that_nobody_asked_for_are_held_in_order(
    log: Log, partition: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that keeps the membership may answer a record: beyond a limit all is paused."""
    monkeypatch.setattr(kafka_consumer, "_HELD_LIMIT", 5)
    write(log, partition, 50)
    consumer, _ = join(log, name("group"), partition)
    start(consumer, partition, 0)
    records: list[Record] = []

    for _ in range(20):
        assert consumer.gather(0, 0.05) == []
    consumer.pause([partition])
    assert consumer.gather(10, 0.05) == []
    consumer.resume([partition])
    until(lambda: len(records) == 50, lambda: records.extend(consumer.gather(7, 0.05)))

    assert [record.offset for record in records] == list(range(50))
    consumer.close()


def test_a_seek_forgets_what_was_held(log: Log, partition: TopicPartition) -> None:
    write(log, partition, 10)
    consumer, _ = join(log, name("group"), partition)
    start(consumer, partition, 0)
    for _ in range(3):
        consumer.gather(0, 0.2)
    records: list[Record] = []

    consumer.seek(partition, 8)
    until(lambda: len(records) == 2, lambda: records.extend(consumer.gather(10, 0.05)))

    assert [record.offset for record in records] == [8, 9]
    consumer.close()


def test_an_exception_of_the_listener_is_raised_by_gather(
    log: Log, partition: TopicPartition
) -> None:
    class Broken(Ear):
        def assigned(self, partitions: Any) -> None:
            raise ZeroDivisionError

    consumer = log.consumer(name("group"))
    consumer.subscribe([partition.topic], Broken())

    with pytest.raises(ZeroDivisionError):
        until(lambda: False, lambda: consumer.gather(10, 0.05))

    assert consumer.gather(10, 0.05) == []
    consumer.close()


def test_positions_of_a_group_that_lives_are_not_moved(log: Log, partition: TopicPartition) -> None:
    group = name("group")
    log.set_positions(group, {partition: Committed(0, "from an operator")})
    consumer, _ = join(log, group, partition, "w0")

    with pytest.raises(Refused, match="w0"):
        log.set_positions(group, {partition: Committed(1)})

    assert consumer.committed(partition, 5) == Committed(0, "from an operator")
    consumer.close()


def test_a_header_that_is_no_text_costs_the_headers_not_the_records(
    log: Log, partition: TopicPartition, servers: str
) -> None:
    """The binding raises on it, for ever at the same record; it cannot write one either."""
    write(log, partition, 40)  # Python specialises a call after a few, and then misses the error
    _produce_with_header(servers, partition.topic, b"\xff\xfe")
    write(log, partition, 1)
    reader = log.reader()
    reader.assign({partition: 0})
    records: list[Record] = []

    until(lambda: len(records) == 42, lambda: records.extend(reader.read(10, 0.05)))

    reader.close()
    assert [(r.value, r.headers) for r in records[-2:]] == [(b"value", ()), (b"0", ())]


def _produce_with_header(servers: str, topic: str, header: bytes) -> None:
    """One record by librdkafka itself; the numbers are rd_kafka_vtype_t."""
    (library,) = [f for f in files("confluent-kafka") or () if f.name.startswith("librdkafka-")]
    rd = ctypes.CDLL(str(library.locate()))
    for function in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_headers_new"):
        getattr(rd, function).restype = ctypes.c_void_p
    why = ctypes.create_string_buffer(512)
    conf = ctypes.c_void_p(rd.rd_kafka_conf_new())
    rd.rd_kafka_conf_set(conf, b"bootstrap.servers", servers.encode(), why, 512)
    client = ctypes.c_void_p(rd.rd_kafka_new(0, conf, why, 512))
    headers = ctypes.c_void_p(rd.rd_kafka_headers_new(1))
    size = ctypes.c_ssize_t
    rd.rd_kafka_header_add(headers, header, size(len(header)), b"v", size(1))
    given = [1, ctypes.c_char_p(topic.encode()), 4, ctypes.c_char_p(b"value"), ctypes.c_size_t(5)]
    assert rd.rd_kafka_producev(client, *given, 10, headers, 0) == 0
    assert rd.rd_kafka_flush(client, 10_000) == 0
    rd.rd_kafka_destroy(client)
