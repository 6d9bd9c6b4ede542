"""State made anew from history: the same code makes the same bytes, and sends nothing twice."""

from typing import Any

import pytest

from pmstream.core.orders import Verb
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations, rebuild
from pmstream.operate.shadow import compare
from pmstream.runtime.roles import INSTANCES
from tests.operate.rebuilding import (
    PM,
    Killed,
    lived,
    look,
    order,
    rebuilt,
    stop,
    timeless,
)
from tests.runtime.world import World, make_app


def test_the_same_code_makes_the_same_bytes_and_sends_nothing(world: World) -> None:
    stop(lived(world))
    before, sent, letters = (
        world.changelog(),
        world.commands(),
        world.read(world.names.dead_letters),
    )

    found = rebuilt(world)

    assert (found.generation, found.instances, found.differing) == (2, 5, 0)
    assert found.is_live
    assert world.names.changelog == "world.counter.changelog.g2"
    assert timeless(world.changelog()) == timeless(before)
    assert world.commands() == sent
    assert world.read(world.names.dead_letters) == letters
    assert len(letters) == 1


def test_from_there_on_events_count_once_and_commands_are_sent(world: World) -> None:
    stop(lived(world))
    rebuilt(world)
    world.count("e", [7])
    world.count("new", [1])
    order(world, Verb.EDIT, "f", set={"count": 60})
    world.start_all()
    world.settle()

    assert world.counts("e") == [(0, 1), (1, 2), (2, 3), (7, 4)]
    assert world.counts("new") == [(1, 1)]
    world.count("f", [8])
    world.settle()
    assert world.counts("f")[-1] == (8, 61)


def test_what_is_parked_sends_its_commands_after_it(world: World) -> None:
    stop(lived(world))
    rebuilt(world)
    world.manager.healed = True
    world.start_all()
    world.settle()
    order(world, Verb.RELEASE, "a")
    world.settle()

    assert world.counts("a") == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6)]


def test_a_rule_of_today_is_applied_to_history(world: World) -> None:
    for each in "ab":
        world.count(each, range(3))
    world.count("a", [3], what="skip")
    world.settle()
    stop(world)
    sent = world.commands()
    mended: Any = make_app()
    mended.manager(PM).healed = True  # what was skipped counts

    found = rebuilt(world, mended)

    assert (found.differing, found.is_live) == (1, True)
    assert world.commands() == sent
    world.start_all()
    world.count("a", [4])
    world.settle()
    assert world.counts("a")[-1] == (4, 5)


@pytest.mark.parametrize("at", [1, 4, 12, 20, 26, 35])
def test_a_rebuild_that_was_killed_goes_on(world: World, at: int) -> None:
    stop(lived(world))
    before, calls = world.changelog(), 0

    def done(_more: int) -> None:
        nonlocal calls
        calls += 1
        if calls == at:
            raise Killed

    with pytest.raises(Killed):
        rebuilt(world, done=done)
    with pytest.raises(Busy, match="a rebuild makes generation 2"):
        world.start(INSTANCES, "w-0")
    assert look(world).resumed
    with pytest.raises(ConfigurationError, match=r"began at .origin., not at"):
        look(world, start_from={world.source: {0: 5}})

    assert rebuilt(world).is_live
    assert timeless(world.changelog()) == timeless(before)
    assert len(world.read(world.names.inbox)) == 25


def test_it_can_be_given_up(world: World) -> None:
    stop(lived(world))

    def done(_more: int) -> None:
        raise Killed

    with pytest.raises(Killed):
        rebuilt(world, done=done)
    making = generations.under_way(world.log, world.app, PM)
    assert making is not None
    generations.abandon(world.log, making)

    world.start_all()
    world.count("e", [7])
    world.settle()
    assert world.counts("e")[-1] == (7, 4)


def test_the_rebuilt_generation_is_a_history_like_any_other(world: World) -> None:
    """Shadow and another rebuild read it."""
    stop(lived(world))
    before = world.changelog()
    rebuilt(world)
    world.start_all()
    world.count("e", [7])
    world.settle()
    found = compare(world.log, world.app, PM, world.settings, lambda *_: None)
    assert found.is_same, found
    stop(world)

    assert rebuilt(world).generation == 3
    after = timeless(world.changelog())
    assert after.keys() == timeless(before).keys()
    assert look(world).faults == ()


# The way back


def test_a_rebuild_can_be_gone_back_on(world: World) -> None:
    stop(lived(world))
    before = world.changelog()
    rebuilt(world)
    assert not rebuild.has_run(world.log, world.names)
    back = generations.begin_roll_back(world.log, world.app, PM, world.clock)
    generations.roll_back(world.log, back, world.clock)

    world.names = back.new
    assert world.changelog() == before
    world.start_all()
    world.count("e", [7])
    world.settle()
    assert world.counts("e")[-1] == (7, 4)


def test_a_generation_that_has_run_is_known(world: World) -> None:
    stop(lived(world))
    rebuilt(world)
    world.count("e", [7])
    world.start_all()
    world.settle()
    assert rebuild.has_run(world.log, world.names)
