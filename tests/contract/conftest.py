"""The logs that the contract is checked on."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.clock import SystemClock, VirtualClock
from pmstream.runtime.log import Log, Writer
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import World
from tests.faults.kit import soak

DeleteTopic = Callable[[str], None]


MEMORY = "memory"
ONE = pytest.param("kafka", marks=pytest.mark.kafka)
THREE = pytest.param("kafka3", marks=pytest.mark.kafka)
THREE_IN_SOAK = pytest.param("kafka3", marks=[pytest.mark.kafka, *soak])


@pytest.fixture(params=[MEMORY, ONE, THREE_IN_SOAK])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A log of each kind, and the helpers around it."""
    if request.param == MEMORY:
        made = request.getfixturevalue("memory_world")
    else:
        kafka_log, delete_topic = request.getfixturevalue(f"{request.param}_log")
        # Where no broker is killed, tests share a writer.
        writer = request.getfixturevalue("kafka_writer") if request.param == "kafka" else None
        made = World(kafka_log, SystemClock(), delete_topic, writer)
    yield made
    made.close()


@pytest.fixture
def memory_world() -> World:
    """A log in memory of its own."""
    clock = VirtualClock()
    log = MemoryLog(clock)
    return World(log, clock, log.delete_topic)


@pytest.fixture(scope="session")
def kafka_log(kafka: Cluster) -> tuple[Log, DeleteTopic]:
    """The log on the tests' broker, and how its topics are deleted."""
    return on(kafka)


@pytest.fixture(scope="session")
def kafka_writer(kafka_log: tuple[Log, DeleteTopic]) -> Writer:
    """A writer to the tests' broker."""
    return kafka_log[0].writer()


@pytest.fixture
def kafka3_log(kafka3: Cluster) -> tuple[Log, DeleteTopic]:
    """The log on three brokers."""
    return on(kafka3)


def on(cluster: Cluster, **options: Any) -> tuple[Log, DeleteTopic]:
    """A log on a cluster, and how its topics are deleted."""
    from confluent_kafka.admin import AdminClient

    from pmstream.runtime.kafka import KafkaLog

    servers = cluster.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})

    def delete_topic(name: str) -> None:
        admin.delete_topics([name])[name].result(30)

    # A topic that nobody knows is an error after a second: five, the default, only costs time.
    properties = {"topic.metadata.propagation.max.ms": "1000"}
    return KafkaLog(servers, properties, session_timeout_ms=6_000, **options), delete_topic
