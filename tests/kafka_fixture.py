"""The embedded Kafka as fixtures: `kafka` is one broker, `kafka3` is three.

Each test process starts its own at the first use and stops it at its end.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pmstream.devkafka import Cluster


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that asks for a broker, so that none can forget to say so."""
    for item in items:
        if {"kafka", "kafka3"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka() -> Iterator["Cluster"]:
    """One broker; tests use topics of their own and leave it running."""
    yield from _cluster(1)


@pytest.fixture(scope="session")
def kafka3() -> Iterator["Cluster"]:
    """Three brokers; a test that ends or pauses one brings it back."""
    yield from _cluster(3)


def _cluster(brokers: int) -> Iterator["Cluster"]:
    from pmstream.devkafka import Cluster

    # Compaction at once, for the few topics that ask for it: 15 s is the default.
    with Cluster(brokers, settings={"log.cleaner.backoff.ms": "200"}) as cluster:
        yield cluster
