"""Events in, commands out: the whole path on the memory log and a real store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.core.instance import load_instance
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import instance_key
from tests.runtime.world import Happened, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock)
    yield made
    made.close()


def test_every_event_makes_its_command_in_order(world: World) -> None:
    world.start_all()
    for process in ("a", "b", "c"):
        world.count(process, range(5))
    world.settle()
    for process in ("a", "b", "c"):
        assert world.counts(process) == [(n, n + 1) for n in range(5)]
    assert world.stores() == world.changelog()
    assert world.state_of(load_instance(world.changelog()[instance_key("a")])).count == 5


def test_an_event_may_concern_many_processes(world: World) -> None:
    world.start_all()
    world.produce(Happened(process="a,b,a,c", what="go", n=1))
    world.settle()
    assert [world.counts(each) for each in "abc"] == [[(1, 1)]] * 3


def test_stop_deletes(world: World) -> None:
    world.start_all()
    world.count("a", range(3))
    world.count("a", [3], what="stop")
    world.settle()
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    assert world.changelog() == world.stores() == {}
