"""A rebuild behind a repartition, and a repartition behind a rebuild."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.app import Names
from pmstream.operate import repartition
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.operate.rebuilding import faults, lived, rebuilt, stop, timeless
from tests.operate.repartitioned import redeliver, repartitioned
from tests.runtime.world import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Its workers have run."""
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock)
    made.start_all()
    yield made
    made.close()


def goes_on(world: World, process: str, n: int, count: int) -> None:
    """One more event counts once; all that was is dropped when it is delivered again."""
    commands = len(world.commands())
    redeliver(world)
    world.count(process, [n])
    world.start_all()
    world.settle()
    assert world.counts(process)[-1] == (n, count)
    assert len(world.commands()) == commands + 1
    assert world.stores() == world.changelog()
    stop(world)


def test_what_was_rebuilt_gets_other_partitions(world: World) -> None:
    stop(lived(world))
    rebuilt(world)
    before = world.changelog()

    repartitioned(world, 5)

    assert (world.names.generation, world.names.feeds, world.changelog()) == (3, 3, before)
    assert [each.generation for each in lineage(world)] == [2, 3]  # a rebuild took history along
    goes_on(world, "e", 7, 4)


def test_what_got_other_partitions_is_rebuilt(world: World) -> None:
    for each in "abc":
        world.count(each, range(3))
    world.settle()
    stop(world)
    repartitioned(world, 5)
    before, commands = world.changelog(), world.commands()

    found = rebuilt(world)

    assert found.is_live
    assert (world.names.generation, world.names.feeds) == (3, 2)
    assert world.log.topics()[world.names.inbox].partitions == 5
    assert (timeless(world.changelog()), world.commands()) == (timeless(before), commands)
    goes_on(world, "a", 7, 4)
    repartitioned(world, 2)
    assert (world.names.generation, world.names.feeds) == (4, 4)
    goes_on(world, "a", 8, 5)


def test_orders_from_before_it_forbid_a_rebuild(world: World) -> None:
    stop(lived(world))
    repartitioned(world, 5)

    assert "a repartition gave counter orders of its own" in faults(world)


def lineage(world: World) -> list[Names]:
    return repartition.lineage(world.log, world.app.name, "counter")
