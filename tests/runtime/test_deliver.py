"""An event that an order delivers: handled once, wherever its owner dies, seen before or not."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pmstream.core.messages import Routed
from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import STEPS
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.runtime.world import Happened, World


class Crash(Exception):
    """The process is killed at that step."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock)
    made.start_all()
    made.count("a", [1, 2])
    made.settle()
    yield made
    made.close()


def deliver(world: World, offset: int, n: int) -> None:
    event = Routed(
        process_uuid="a",
        route="start",
        value=world.codec.encode_event(world.source, Happened("a", "go", n)),
        topic=world.source,
        partition=0,
        offset=offset,
        index=0,
        timestamp=0,
        headers=(),
    )
    arguments = {"event": msgspec.to_builtins(event)}
    made = orders.make(Verb.DELIVER, ["a"], arguments, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
@pytest.mark.parametrize("step", STEPS)
def test_it_is_handled_once_wherever_its_owner_dies(world: World, step: str, wiped: bool) -> None:
    world.crash("w-0")

    def probe(at: str) -> None:
        if at == step:
            raise Crash

    world.start(INSTANCES, "w-0", probe)
    world.settle()
    deliver(world, 0, 7)  # an offset whose event was seen
    with pytest.raises(Crash):
        world.settle(lambda: False)
    world.crash("w-0")
    world.start(INSTANCES, "w-1" if wiped else "w-0")
    world.settle(lambda: len(world.counts("a")) == 3)
    world.settle()

    assert world.counts("a") == [(1, 1), (2, 2), (7, 3)]
    [told] = orders.audit(world.log, world.names)
    assert told.accepted


def test_events_that_follow_are_seen_as_before(world: World) -> None:
    deliver(world, 1_000_000, 7)  # far beyond what was read
    world.count("a", [3])
    world.settle()

    assert sorted(n for n, _ in world.counts("a")) == [1, 2, 3, 7]
    assert [count for _, count in world.counts("a")] == [1, 2, 3, 4]
