"""Partitions that change hands while records come: no record is skipped."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from uuid import uuid4

import pytest

from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import Consumer, Fault, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Again

PARTITIONS = 6
SECONDS, PATIENCE = 3.0, 90.0


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


class Member:
    """Reads on where the last owner of a partition left off."""

    def __init__(self, consumer: Consumer, topic: str, positions: dict[int, int]) -> None:
        self.consumer, self._positions = consumer, positions
        self._waiting: set[TopicPartition] = set()
        self.faults: list[Fault] = []
        consumer.subscribe([topic], self)

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self._waiting.update(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self._waiting.difference_update(partitions)

    lost = revoked

    def fault(self, fault: Fault) -> None:
        self.faults.append(fault)

    def turn(self, expected: dict[int, int]) -> None:
        for record in self.consumer.gather(500, 0.02):
            number = int(record.value or b"")
            assert number <= expected.get(record.partition, 0), f"skipped before {record}"
            expected[record.partition] = max(expected.get(record.partition, 0), number + 1)
            self._positions[record.partition] = record.offset + 1
        for place in list(self._waiting):
            try:
                self.consumer.seek(place, self._positions.get(place.partition, 0))
                self.consumer.resume([place])
            except Again:
                continue
            self._waiting.discard(place)


@contextmanager
def producing(log: KafkaLog, topic: str) -> Iterator[None]:
    """Counts up in every partition, in small transactions."""
    stop = threading.Event()

    def until_done(call: Callable[[float], None]) -> None:
        while True:
            try:
                return call(5)
            except Again:
                continue

    def produce() -> None:
        producer, numbers = log.producer(f"{topic}-producer"), iter(range(1 << 30))
        while not stop.is_set():
            producer.begin()
            for _ in range(20):
                value = b"%d" % next(numbers)
                for partition in range(PARTITIONS):
                    producer.produce(topic, value, partition=partition)
            until_done(producer.flush)
            until_done(producer.commit)
            time.sleep(0.02)
        producer.drop()

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.kafka
@pytest.mark.parametrize("attempt", range(3))
def test_no_record_is_skipped_when_members_join_under_load(kafka: Cluster, attempt: int) -> None:
    """A position at the log's end, asked for at the assignment, once arrived after the seek."""
    log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6000)
    topic = f"handover-{uuid4().hex[:8]}"
    log.create_topics([TopicSpec(topic, PARTITIONS)])
    positions: dict[int, int] = {}
    expected: dict[int, int] = {}
    members: list[Member] = []
    with producing(log, topic):
        began = time.monotonic()
        while (passed := time.monotonic() - began) < SECONDS or len(expected) < PARTITIONS:
            assert passed < PATIENCE, f"only {len(expected)} partitions were read"
            if len(members) < 1 + (passed > SECONDS / 3):
                consumer = log.consumer(f"{topic}-group", f"m{len(members)}")
                members.append(Member(consumer, topic, positions))
            for member in members:
                member.turn(expected)
    for member in members:
        member.consumer.close()
        assert member.faults == []
