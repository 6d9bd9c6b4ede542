"""The logs that the contract is checked on."""

from collections.abc import Iterator
from typing import Any

import pytest

from pmstream.runtime.clock import SystemClock, VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import World


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A log of each kind, and the helpers around it."""
    made = _memory() if request.param == "memory" else _kafka(request.getfixturevalue("kafka"))
    yield made
    made.close()


def _memory() -> World:
    clock = VirtualClock()
    log = MemoryLog(clock)
    return World(log, clock, log.delete_topic)


def _kafka(kafka: Any) -> World:
    from confluent_kafka.admin import AdminClient

    from pmstream.runtime.kafka import KafkaLog

    servers = kafka if isinstance(kafka, str) else kafka.bootstrap_servers
    admin = AdminClient({"bootstrap.servers": servers})

    def delete_topic(name: str) -> None:
        admin.delete_topics([name])[name].result(30)

    return World(KafkaLog(servers, session_timeout_ms=6_000), SystemClock(), delete_topic)
