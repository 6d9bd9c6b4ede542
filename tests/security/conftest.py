"""One Kafka with all its doors for the tests of this folder, and a world for each of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from tests.runtime.world import World, make_app
from tests.security import kit
from tests.security.kit import Secured


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with kit.secured(tmp_path_factory.mktemp("certificates")) as made:
        yield made


@pytest.fixture
def world(secured: Secured, tmp_path: Path) -> Iterator[World]:
    """Its topics are there, made by somebody who may; its workers come as the user."""
    log = KafkaLog(secured.cluster.bootstrap_servers, session_timeout_ms=6_000)
    made = World(log, tmp_path, SystemClock(), 1, make_app(f"secured{time.time_ns()}"))
    made.count("a", range(3))
    yield made
    for each in made.workers.values():
        each.close()
