"""Rebuilds with timers, replies and redriven dead letters; in direct mode."""

from pathlib import Path
from typing import Any

from pmstream import failure, routing
from pmstream.operate.redrive import Redriver
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.operate.rebuilding import (
    PM,
    faults,
    rebuilt,
    stop,
    timeless,
)
from tests.runtime import clocked
from tests.runtime.clocked import TIMER_SECONDS, ClockedWorld, asked
from tests.runtime.direct_world import Direct
from tests.runtime.world import World, make_app


def clocked_world(tmp_path: Path, clock: VirtualClock, **options: Any) -> ClockedWorld:
    world = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=clocked.make_app(**options))
    world.start_all()
    return world


def test_timers_go_on_and_those_that_fired_do_not_fire_again(
    tmp_path: Path, clock: VirtualClock
) -> None:
    world = clocked_world(tmp_path, clock)
    world.count("a", [1], what="timer")
    world.settle(asked(world, 1))
    clock.advance(TIMER_SECONDS)
    world.settle(asked(world, 2))
    world.count("b", [1], what="timer")
    world.count("c", [1], what="early")
    world.settle(asked(world, 3))
    before = world.changelog()
    world.close()
    clock.sleep(30)

    assert rebuilt(world).is_live
    assert timeless(world.changelog()).keys() == timeless(before).keys()
    world.start_all()
    world.count("c", [0])
    world.settle(asked(world, 5))
    clock.advance(TIMER_SECONDS)
    world.settle(asked(world, 6))
    assert world.counts("a") == [(1, 1), (-1, 1)]
    assert world.counts("b") == [(1, 1), (-1, 1)]
    assert world.counts("c") == [(0, 1), (1, 2)]
    world.close()


def test_confirmed_commands_are_answered_by_the_replies_of_then(
    tmp_path: Path, clock: VirtualClock
) -> None:
    world = clocked_world(tmp_path, clock, dispatch="confirm")
    world.count("a", [1, 2])
    world.settle(asked(world, 1))
    assert "process a is awaiting: their commands would be lost" in waiting(world)
    world.start_all()
    for number in (1, 2):
        clock.advance(1)
        world.reply(world.asked()[-1])
        world.settle(asked(world, 2) if number == 1 else None)
    before = world.changelog()
    stop(world)

    assert rebuilt(world).is_live
    assert world.changelog() == before
    world.start_all()
    world.count("a", [3])
    world.settle(asked(world, 3))
    world.close()


def waiting(world: World) -> str:
    stop(world)
    return faults(world)


def test_a_dead_letter_that_was_delivered_counts_when_it_was(world: World) -> None:
    """Today's code could route it where it stands; it is passed over there, not counted twice."""
    as_written: Any = world.manager
    stop(world)
    as_written.error = lambda *_: failure.Park()
    world.start_all()
    world.count("a", [1], what="bad route")
    world.count("a", [2])
    world.settle()
    [letter] = world.read(world.names.dead_letters)
    as_written.interested = lambda event: routing.Start(event.process)
    Redriver(world.log, world.app, PM, "ops", "test", world.clock.now()).redrive(
        [f"{letter.partition}:{letter.offset}"]
    )
    world.settle()
    assert world.counts("a") == [(2, 1), (1, 2)]
    before = world.changelog()
    stop(world)

    assert rebuilt(world).is_live
    assert world.changelog() == before


# Direct mode


def test_in_direct_mode_the_source_is_read_again(tmp_path: Path, clock: VirtualClock) -> None:
    app = make_app(keyed="world.events")
    world = Direct(MemoryLog(clock), tmp_path, clock, app=app, inbox_partitions=2)
    world.start_all()
    for each in "abc":
        world.count(each, range(3))
    world.count("b", [3], what="park")
    world.count("c", [3], what="bad route")
    world.settle()
    stop(world)
    before, letters = world.changelog(), world.read(world.names.dead_letters)

    found = rebuilt(world)

    assert (found.instances, found.differing, found.is_live) == (3, 0, True)
    assert timeless(world.changelog()) == timeless(before)
    assert world.read(world.names.dead_letters) == letters
    world.start_all()
    world.count("a", [7])
    world.count("new", [1])
    world.settle()
    assert world.counts("a")[-1] == (7, 4)
    assert world.counts("new") == [(1, 1)]
    world.close()
