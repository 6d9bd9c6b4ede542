"""An end that is asked for: the batch is finished and committed, the stores are closed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.worker import Worker
from tests.runtime.world import World

LONG_MS = 100_000
EXPECTED = [(n, n + 1) for n in range(5)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Nothing is committed by itself for a long time."""
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, commit_interval_ms=LONG_MS)
    yield made
    made.close()


def run_until_staged(worker: Worker, inputs: int) -> None:
    """As `pmstream worker` does until SIGTERM; it comes when all is handled, nothing committed."""
    worker.run(lambda: worker.stage.load().staged >= inputs)


@pytest.mark.parametrize("role", [ROUTER, INSTANCES])
def test_what_is_staged_is_committed_before_a_worker_ends(world: World, role: str) -> None:
    world.count("a", range(5))
    for each in (ROUTER, INSTANCES):
        worker = world.start(each, each)
        run_until_staged(worker, 5)
        assert (worker.report.commits, worker.report.inputs) == (1, 5)
        del world.workers[each]
        if each == role:
            break

    assert len(world.read(world.names.inbox)) == 5
    assert world.counts("a") == (EXPECTED if role == INSTANCES else [])


def test_the_next_one_of_its_name_finds_its_store_whole_and_repeats_nothing(world: World) -> None:
    world.count("a", range(5))
    for each in (ROUTER, INSTANCES):
        run_until_staged(world.start(each, each), 5)
        del world.workers[each]
    world.told.clear()

    world.start(INSTANCES, INSTANCES)
    world.settle()

    restored = [text for what, _, text in world.told if what == "running"]
    assert restored == ["0 records restored"] * world.partitions
    assert world.counts("a") == EXPECTED
    assert world.stores() == world.changelog()
