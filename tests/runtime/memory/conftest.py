"""A memory log with the helpers of the contract suite."""

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import World


@pytest.fixture
def world(log: MemoryLog, clock: VirtualClock) -> World:
    return World(log, clock, log.delete_topic)
