"""What the tests of the embedded Kafka ask of it, as any client would."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import (  # type: ignore[attr-defined] # not re-exported for mypy
    AdminClient,
    NewTopic,
)

QUIET = {"log_level": 0}
"""That a broker is gone is what these tests are about."""


def admin(servers: str) -> AdminClient:
    return AdminClient({"bootstrap.servers": servers, **QUIET})


def make_topic(servers: str, partitions: int = 1) -> str:
    """A new topic, replicated as the cluster does by default."""
    name = f"topic-{uuid.uuid4()}"
    client = admin(servers)
    client.create_topics([NewTopic(name, partitions)])[name].result(30)
    return name


@contextmanager
def transactional(servers: str) -> Iterator[Producer]:
    """A producer that is ready to begin a transaction."""
    producer = Producer(
        {"bootstrap.servers": servers, "transactional.id": f"test-{uuid.uuid4()}", **QUIET}
    )
    producer.init_transactions(60)
    yield producer
    producer.flush(0)


def send(servers: str, topic: str, *values: bytes) -> None:
    """Writes to partition 0, each value acknowledged by all in-sync replicas."""
    producer = Producer({"bootstrap.servers": servers, "acks": "all", **QUIET})
    failed: list[object] = []
    for value in values:
        producer.produce(
            topic,
            value,
            partition=0,
            on_delivery=lambda error, _message: failed.append(error) if error else None,
        )
    assert producer.flush(60) == 0
    assert not failed


def read(servers: str, topic: str, isolation: str = "read_committed") -> list[bytes]:
    """All values of partition 0, up to its end."""
    consumer = Consumer(
        {
            "bootstrap.servers": servers,
            "group.id": str(uuid.uuid4()),
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            **QUIET,
        }
    )
    consumer.assign([TopicPartition(topic, 0, 0)])
    values: list[bytes] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        message = consumer.poll(1)
        if message is not None and message.error() is not None:
            break  # the end of the partition
        if message is not None:
            value = message.value()
            assert isinstance(value, bytes)
            values.append(value)
    consumer.close()
    return values
