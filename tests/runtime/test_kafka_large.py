"""What a topic takes, our producers hand over: the client has no smaller limit of its own."""

import time
from os import urandom

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.log_errors import MustAbort

SIZE = 2_000_000


@pytest.fixture
def place(kafka: Cluster) -> TopicPartition:
    place = TopicPartition(f"large-{time.time_ns()}", 0)
    spec = TopicSpec(place.topic, 1, {"max.message.bytes": str(SIZE + 10_000)})
    KafkaLog(kafka.bootstrap_servers).create_topics([spec])
    return place


def test_a_record_as_large_as_its_topic_takes_goes_through(
    kafka: Cluster, place: TopicPartition
) -> None:
    log, value = KafkaLog(kafka.bootstrap_servers), urandom(SIZE)
    producer = log.producer(place.topic)
    producer.begin()
    producer.produce(place.topic, value, partition=0)
    producer.commit(30)

    reader = log.reader()
    reader.assign({place: 0})
    until, found = time.monotonic() + 60, list[bytes | None]()
    while not found and time.monotonic() < until:
        found = [each.value for each in reader.read(10, 0.1)]
    reader.close()

    assert found == [value]


def test_a_deployment_may_set_the_limit(kafka: Cluster, place: TopicPartition) -> None:
    log = KafkaLog(kafka.bootstrap_servers, {"message.max.bytes": "100000"})
    producer = log.producer(place.topic)
    producer.begin()

    with pytest.raises(MustAbort, match="MSG_SIZE_TOO_LARGE"):
        producer.produce(place.topic, urandom(200_000), partition=0)
    producer.abort(30)
