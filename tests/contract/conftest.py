"""The logs that the contract is checked on."""

from collections.abc import Callable, Iterator

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.clock import SystemClock, VirtualClock
from pmstream.runtime.log import Log
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import World

DeleteTopic = Callable[[str], None]


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A log of each kind, and the helpers around it."""
    if request.param == "memory":
        clock = VirtualClock()
        log = MemoryLog(clock)
        made = World(log, clock, log.delete_topic)
    else:
        kafka_log, delete_topic = request.getfixturevalue("kafka_log")
        made = World(kafka_log, SystemClock(), delete_topic)
    yield made
    made.close()


@pytest.fixture(scope="session")
def kafka_log(kafka: Cluster) -> tuple[Log, DeleteTopic]:
    """The log on the tests' broker, and how its topics are deleted."""
    from confluent_kafka.admin import AdminClient

    from pmstream.runtime.kafka import KafkaLog

    servers = kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})

    def delete_topic(name: str) -> None:
        admin.delete_topics([name])[name].result(30)

    # A topic that nobody knows is an error after a second: five, the default, only costs time.
    properties = {"topic.metadata.propagation.max.ms": "1000"}
    return KafkaLog(servers, properties, session_timeout_ms=6_000), delete_topic
