"""What fault tests on the memory log share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.faults.kit import warmed
from tests.runtime.world import World


@pytest.fixture
def fresh(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """A router and an instances worker, and nothing has happened."""
    made = World(log, tmp_path, clock)
    made.start_all()
    yield made
    made.close()


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """The same after ten events of each of three processes."""
    made = World(log, tmp_path, clock, max_batch_records=5)
    yield warmed(made)
    made.close()
