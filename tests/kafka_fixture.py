"""The embedded Kafka as fixtures: `kafka` is one broker, `kafka3` is three.

Each test process starts its own at the first use. One broker stays until the process ends; three
end with the last test in a row that uses them, for they take a third of a core doing nothing.
"""

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pmstream.devkafka import Cluster

_three: list["Cluster"] = []


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks every test that asks for a broker, so that none can forget to say so."""
    for item in items:
        if {"kafka", "kafka3"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.kafka)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Generator[None]:
    """Ends the three brokers in front of a test that does not use them."""
    yield
    if _three and (nextitem is None or not uses_three(nextitem)):
        _three.pop().stop()


def uses_three(item: pytest.Item) -> bool:
    """Whether a test asks for `kafka3`, or has it as its parameter."""
    given = item.callspec.params.values() if hasattr(item, "callspec") else ()
    asked = [*getattr(item, "fixturenames", ()), *(each for each in given if type(each) is str)]
    return "kafka3" in asked


@pytest.fixture(scope="session")
def kafka() -> Iterator["Cluster"]:
    """One broker; tests use topics of their own and leave it running."""
    with _cluster(1) as cluster:
        yield cluster


@pytest.fixture
def kafka3() -> "Cluster":
    """Three brokers; a test that ends or pauses one brings it back."""
    if not _three:
        made = _cluster(3)
        made.start()
        _three.append(made)
    return _three[0]


def _cluster(brokers: int) -> "Cluster":
    from pmstream.devkafka import Cluster

    # Compaction at once, for the few topics that ask for it: 15 s is the default.
    return Cluster(brokers, settings={"log.cleaner.backoff.ms": "200"})
