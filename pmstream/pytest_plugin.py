"""The pytest plugin: fixtures for authors' tests; pytest finds it by itself.

Nothing but pytest is imported before a fixture is asked for.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pmstream import App
    from pmstream.testing import Running

Run = Callable[..., "Running"]


@pytest.fixture
def pm_run(tmp_path: Path) -> Iterator[Run]:
    """Runs apps in memory, see `pmstream.testing.run`; they end with the test."""
    from pmstream.testing.running import Running

    made: list[Running] = []

    def start(app: "App", service: Any = None, **settings: Any) -> Running:
        made.append(Running(app, tmp_path / f"pm-{len(made)}", service, **settings))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="session")
def pm_kafka() -> Iterator[str]:
    """Bootstrap servers of a real Kafka for the whole session (needs `pmstream[kafka-dev]`)."""
    from pmstream.devkafka import Cluster

    with Cluster() as cluster:
        yield cluster.bootstrap_servers
