"""A crash at every step of a commit: nothing lost or doubled, state equal to the changelog."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import STEPS
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, max_batch_records=4)
    yield made
    made.close()


def expected(last: int) -> list[tuple[int, int]]:
    return [(n, n + 1) for n in range(last)]


def check(world: World) -> None:
    for process in ("a", "b", "c"):
        assert world.counts(process) == expected(20), process
    assert world.stores() == world.changelog()


def produce(world: World) -> None:
    for n in range(20):
        for process in ("a", "b", "c"):
            world.count(process, [n])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ["router-0", "w-0"])
@pytest.mark.parametrize("back", ["same name", "other name"])
def test_a_worker_killed_at_any_step_leaves_nothing_wrong(
    world: World, name: str, step: str, back: str
) -> None:
    role = ROUTER if name == "router-0" else INSTANCES
    produce(world)
    world.start_all()
    world.workers.pop(name).close()
    world.start(role, name, kill_at(step))
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash(name)
    world.start(role, name if back == "same name" else name + "-b")
    world.settle(lambda: all(world.counts(each) == expected(20) for each in "abc"))
    world.settle()
    check(world)
