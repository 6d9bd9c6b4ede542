"""A cluster in memory, on a clock of its own, with workers that run; a file may have its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime.world import World


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def log(clock: VirtualClock) -> MemoryLog:
    return MemoryLog(clock)


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """Its workers have run."""
    made = World(log, tmp_path, clock)
    made.start_all()
    yield made
    made.close()
