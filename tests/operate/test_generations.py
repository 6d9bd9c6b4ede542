"""Generations: one is live, workers find it, and no other one runs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.app import Names
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations
from pmstream.operate.generations import Making
from pmstream.operate.topics import of_generation
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.generations import live, load_closed, read_state, to_run
from pmstream.runtime.log import Committed, Log, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import World

PM = "counter"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Three events are handled; no worker runs any more."""
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock)
    made.count("a", range(3))
    made.start_all()
    made.settle()
    stop(made)
    yield made
    made.close()


def stop(world: World) -> None:
    """All workers end, and so do the sessions of static members."""
    world.close()
    world.clock.sleep(60)


def begin(world: World, what: str = "rebuild", *, own_feeds: bool = False) -> Making:
    return generations.begin(
        world.log,
        world.app,
        PM,
        what,
        partitions=world.partitions,
        own_feeds=own_feeds,
        settings=world.settings,
        clock=world.clock,
    )


def copied(world: World, making: Making) -> None:
    """A new generation whose positions are those of the old one's router."""
    wanted = of_generation(world.app, world.log, world.settings, making.new, world.partitions)
    have = world.log.topics()
    world.log.create_topics([each.spec for each in wanted if each.spec.name not in have])
    positions = generations.closed_positions(world.log, making)[making.old.group(ROUTER)]
    world.log.set_positions(making.new.group(ROUTER), positions)


def blind(world: World) -> None:
    """Who starts now finds the first generation, like one who looked before the change began."""
    writer = world.log.writer()
    writer.produce(world.names.generations, None, b"state", (), 0)
    writer.flush(10)


def positions(log: Log, names: Names) -> dict[TopicPartition, Committed]:
    places = [TopicPartition(names.inbox, number) for number in range(3)]
    places += [TopicPartition("world.events", number) for number in range(2)]
    return {
        place: committed
        for role in (ROUTER, INSTANCES)
        for place, committed in log.last_committed(names.group(role), places).items()
    }


def test_a_later_generation_has_names_of_its_own() -> None:
    second, repartitioned = Names("bank", "pm", 2), Names("bank", "pm", 3, 3)
    assert (second.inbox, second.changelog) == ("bank.pm.inbox.g2", "bank.pm.changelog.g2")
    assert second.group(ROUTER) == "bank.pm.router.g2"
    assert second.transactional_id(INSTANCES, "w") == "bank.pm.instances.g2.w"
    assert (second.orders, second.replies) == ("bank.pm.orders", "bank.pm.replies")
    assert (repartitioned.orders, repartitioned.replies) == (
        "bank.pm.orders.g3",
        "bank.pm.replies.g3",
    )
    assert repartitioned.dead_letters == "bank.pm.dead-letters"


def test_without_its_topic_the_first_generation_runs(world: World) -> None:
    assert to_run(world.log, "world", PM) == live(world.log, "world", PM) == Names("world", PM)


def test_workers_wait_while_a_generation_is_made(world: World) -> None:
    begin(world)
    with pytest.raises(Busy, match="a rebuild makes generation 2 of counter: workers wait"):
        world.start(ROUTER, "router-0")
    assert live(world.log, "world", PM).generation == 1  # tools look at what is there


def test_nothing_begins_while_workers_run(world: World) -> None:
    world.start_all()
    world.turn(5)
    with pytest.raises(Busy, match="workers of counter run: stop router-0 "):
        begin(world)
    assert read_state(world.log, "world", PM).change is None


def test_nothing_is_closed_while_workers_run(world: World) -> None:
    making = begin(world)
    blind(world)
    world.start(INSTANCES, "w-0")
    world.turn()
    with pytest.raises(Busy, match="stop w-0"):
        generations.close(world.log, making, world.clock)


def test_the_same_command_goes_on_and_another_one_is_refused(world: World) -> None:
    assert begin(world) == begin(world)
    with pytest.raises(Busy, match="a rebuild makes generation 2"):
        begin(world, "repartition")


@pytest.mark.parametrize(("role", "name"), [(ROUTER, "router-0"), (INSTANCES, "w-0")])
def test_a_late_worker_of_a_closed_generation_does_nothing(
    world: World, role: str, name: str
) -> None:
    world.count("a", range(3, 6))
    making = begin(world)
    generations.close(world.log, making, world.clock)
    blind(world)
    world.start(role, name)
    with pytest.raises(Busy, match="this generation is closed, generation 2 runs instead"):
        world.settle()
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


def test_closed_positions_are_kept_and_given_back(world: World) -> None:
    before = positions(world.log, world.names)
    making = begin(world)
    generations.close(world.log, making, world.clock)
    generations.close(world.log, making, world.clock)  # as after a kill
    marked = positions(world.log, world.names)
    assert {place: at for place, (at, _) in marked.items()} == {
        p: at for p, (at, _) in before.items()
    }
    assert all(load_closed(text) is not None for _, text in marked.values())
    kept = generations.closed_positions(world.log, making)
    assert {place: each for some in kept.values() for place, each in some.items()} == before
    generations.abandon(world.log, making)
    assert positions(world.log, world.names) == before
    world.count("a", [3])
    world.start_all()
    world.settle()
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_number_is_never_given_twice(world: World) -> None:
    generations.abandon(world.log, begin(world))
    assert begin(world).new.generation == 3


def test_new_workers_run_the_live_generation(world: World) -> None:
    making = begin(world)
    generations.close(world.log, making, world.clock)
    copied(world, making)
    generations.go_live(world.log, making)
    generations.go_live(world.log, making)  # as after a kill
    world.count("b", [7])
    world.start_all()
    world.settle(lambda: world.counts("b") == [(7, 1)])
    assert live(world.log, "world", PM) == Names("world", PM, 2, 1)
    assert [each.key for each in world.read("world.counter.inbox.g2")] == [b"b"]


def test_a_change_can_be_gone_back_on(world: World) -> None:
    making = begin(world, "repartition", own_feeds=True)
    generations.close(world.log, making, world.clock)
    copied(world, making)
    generations.go_live(world.log, making)
    assert live(world.log, "world", PM) == Names("world", PM, 2, 2)

    back = generations.begin_roll_back(world.log, world.app, PM, world.clock)
    with pytest.raises(Busy, match="a rollback makes generation 1"):
        to_run(world.log, "world", PM)
    generations.roll_back(world.log, back, world.clock)
    assert to_run(world.log, "world", PM) == Names("world", PM)
    world.count("a", [3])
    world.start_all()
    world.settle()
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    stop(world)
    with pytest.raises(ConfigurationError, match="none was before it"):
        generations.begin_roll_back(world.log, world.app, PM, world.clock)


def test_a_position_that_may_still_move_is_waited_for(world: World) -> None:
    """A worker died in mid-transaction: what it sent may still be committed."""

    def die(step: str) -> None:
        if step == "commit":
            raise KeyboardInterrupt

    world.count("a", [3])
    world.start(ROUTER, "router-0", die)
    with pytest.raises(KeyboardInterrupt):
        world.settle()
    world.crash("router-0")
    world.clock.sleep(15)  # its session ends, its transaction does not
    making = begin(world)
    generations.close(world.log, making, world.clock)  # the broker ends it after a minute
    assert positions(world.log, world.names)[TopicPartition("world.events", 0)].position == 3


def test_a_state_that_cannot_be_read_is_told(world: World) -> None:
    making = begin(world)
    writer = world.log.writer()
    writer.produce(making.old.generations, b"[]", b"state", (), 0)
    writer.flush(10)
    with pytest.raises(ConfigurationError, match="nobody but pmstream may write there"):
        to_run(world.log, "world", PM)
