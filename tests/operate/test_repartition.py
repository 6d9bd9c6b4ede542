"""Another partition count: every instance goes on as it was, and nothing counts twice."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations, orders, repartition
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.worker import Worker
from pmstream.testing.killed import Killed
from tests.operate import repartitioned as kit
from tests.operate.repartitioned import populate, redeliver, repartitioned, standing, stop, uuids
from tests.runtime import clocked
from tests.runtime.clocked import FIRED
from tests.runtime.ordered import give
from tests.runtime.world import World

EACH = 3

LATER_SECONDS = 1_000
"""A timer, and an early event's patience: longer than all else in these tests."""

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    for name in ("TIMER_SECONDS", "HOLD_SECONDS"):
        monkeypatch.setattr(clocked, name, LATER_SECONDS)
    made: list[World] = []

    def make(partitions: int = 4, **options: Any) -> World:
        clock = VirtualClock()
        app = clocked.make_app(**{"completed_for": 36_000, **options})
        world = World(MemoryLog(clock), tmp_path, clock, partitions, app)
        made.append(world)
        world.start_all()
        return world

    yield make
    for each in made:
        each.close()


@pytest.fixture
def world(make: Make) -> World:
    """Instances of all conditions; nobody runs."""
    world = make()
    populate(world, EACH)
    world.settle()
    stop(world)
    return world


@pytest.mark.parametrize("partitions", [6, 3, 1])
def test_every_instance_has_the_same_bytes_where_it_now_belongs(
    world: World, partitions: int
) -> None:
    before = world.changelog()

    done = repartitioned(world, partitions)

    assert world.changelog() == before
    assert (done.new, done.new.generation, done.new.feeds) == (world.names, 2, 2)
    assert done.contents.instances == 6 * EACH
    for topic in (world.names.inbox, world.names.changelog, world.names.orders):
        assert world.log.topics()[topic].partitions == partitions
    for record in world.read(world.names.changelog):
        if uuid := (record.key or b"")[1:].partition(b"\0")[0]:
            assert record.partition == murmur2_partition(uuid, partitions)


@pytest.mark.parametrize("partitions", [6, 3])
def test_all_goes_on_once(world: World, partitions: int) -> None:
    conditions = standing(world, [each for kind in kit.KINDS for each in uuids(kind, EACH)])
    repartitioned(world, partitions)
    assert standing(world, list(conditions)) == conditions

    go_on(world)

    assert world.stores() == world.changelog()


def go_on(world: World) -> None:
    """More events, retries that succeed, orders that release, timers: each counts once."""
    world.manager.healed = True
    world.start_all()
    for process in (*uuids("go", EACH), *uuids("timer", EACH), *uuids("ended", EACH)):
        world.count(process, [4])
    for process in uuids("early", EACH):
        world.count(process, [4], what="new")
    for process in uuids("park", EACH):
        give(world, Verb.RELEASE, process)
    for _ in range(2):
        world.settle()
        world.clock.sleep(LATER_SECONDS)
    world.settle()
    once = [(1, 1), (2, 2), (3, 3)]
    assert counts(world, "park") == [once] * EACH
    assert counts(world, "retry") == [once] * EACH
    assert counts(world, "go") == [[*once, (4, 4)]] * EACH
    assert counts(world, "timer") == [[(FIRED, 4), *once, (4, 4)]] * EACH
    assert counts(world, "ended") == [once[:2]] * EACH
    assert counts(world, "early") == [[(1, 2), (4, 1)]] * EACH


def counts(world: World, kind: str) -> list[list[tuple[int, int]]]:
    """Of each process of a kind, its commands, sorted."""
    return [sorted(world.counts(each)) for each in uuids(kind, EACH)]


@pytest.mark.parametrize("partitions", [6, 3])
def test_what_is_delivered_again_is_dropped(world: World, partitions: int) -> None:
    before, commands = world.changelog(), world.commands()
    repartitioned(world, partitions)
    redeliver(world)

    world.start_all()
    world.settle()

    read = sum(each.duplicates for each in world.workers["w-0"].stage.partitions)  # type: ignore[attr-defined]
    assert read == (3 * 5 + 1) * EACH
    assert world.commands() == commands
    assert world.changelog().keys() == before.keys()
    world.count("go-0", [9])
    world.settle()
    assert world.counts("go-0")[-1] == (9, 4)


def test_what_never_arrived_is_taken_in_when_it_is_delivered_again(make: Make) -> None:
    """Events that an operator skipped were seen by nobody: the router's position is no mark."""
    world = make()
    world.count("a", [1, 2])
    world.settle()
    stop(world)
    world.count("a", [3, 4])
    redeliver(world, 4)
    repartitioned(world, 6)
    world.start_all()
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2)]
    stop(world)

    redeliver(world)
    world.start_all()
    world.settle()

    assert world.counts("a") == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_whoever_is_killed_goes_on_wherever_it_was(world: World) -> None:
    before = world.changelog()

    times = kit.killed(world, 6)

    assert times > 20
    assert world.changelog() == before
    assert world.names.generation == 2  # of all those that were begun and killed
    go_on(world)


def test_it_can_be_done_again_and_back(world: World) -> None:
    before = world.changelog()
    for generation, partitions in ((2, 6), (3, 4)):
        repartitioned(world, partitions)
        assert (world.names.generation, world.partitions) == (generation, partitions)
        assert world.changelog() == before
    go_on(world)


def test_a_paused_one_stays_paused(make: Make) -> None:
    world = make()
    world.count("a", [1])
    world.settle()
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "a test", 0)
    world.settle()
    stop(world)

    repartitioned(world, 6)
    world.count("a", [2])
    world.start_all()
    world.settle()
    assert world.counts("a") == [(1, 1)]
    orders.give_all(world.log, world.names, Verb.RESUME, "ops", "a test", 0)
    world.settle()

    assert world.counts("a") == [(1, 1), (2, 2)]


def test_a_dry_run_alters_nothing(world: World) -> None:
    topics = world.log.topics()

    plan = kit.planned(world, 6)

    assert (plan.before, plan.partitions, plan.generation, plan.goes_on) == (4, 6, 2, False)
    assert plan.left == ()
    assert plan.looked.conditions[Condition.PARKED] == EACH
    assert world.log.topics() == topics


def test_a_worker_that_started_before_does_nothing_after(world: World) -> None:
    world.start_all()  # they have looked which generation is live, and have not joined yet
    before = world.changelog()
    repartitioned(world, 6)
    world.count("go-0", [4])

    for name in (ROUTER, INSTANCES):
        worker = world.workers["router-0" if name == ROUTER else "w-0"]
        with pytest.raises(Busy, match="this generation is closed"):
            turn_often(worker)
    world.workers.clear()

    assert world.changelog() == before
    world.start(ROUTER, "router-1")
    world.start(INSTANCES, "w-1")
    world.settle()
    assert world.counts("go-0")[-1] == (4, 4)


def turn_often(worker: Worker) -> None:
    for _ in range(50):
        worker.turn()


def stores(world: World) -> Path:
    return world.settings.state_dir / world.app.name / "counter" / "w-0"


def test_stores_of_the_old_count_are_emptied_and_it_is_told(world: World) -> None:
    repartitioned(world, 3)

    world.start_all()
    world.settle()

    emptied = {number: why for what, number, why in world.told if what == "store emptied"}
    assert sorted(emptied) == [0, 1, 2]
    assert emptied[0].startswith("it is of other topics or another partition count")
    assert [each[:2] for each in world.told if each[0] == "store removed"] == [("store removed", 3)]
    assert sorted(each.name for each in stores(world).iterdir() if each.is_dir()) == ["0", "1", "2"]
    assert world.stores() == world.changelog()


# The way back


def test_it_can_be_taken_back_until_a_worker_has_worked(world: World) -> None:
    before = world.changelog()
    repartitioned(world, 6)

    assert repartition.check_unused(world.log, world.app, "counter") == 1
    making = generations.begin_roll_back(world.log, world.app, "counter", world.clock)
    generations.roll_back(world.log, making, world.clock)
    kit.follow(world)

    assert (world.names.generation, world.partitions) == (1, 4)
    assert world.changelog() == before
    go_on(world)


def test_what_has_worked_is_not_taken_back(world: World) -> None:
    repartitioned(world, 6)
    world.start_all()
    world.count("go-0", [4])
    world.settle()
    stop(world)

    with pytest.raises(ConfigurationError, match="has worked since"):
        repartition.check_unused(world.log, world.app, "counter")


def test_there_must_be_something_to_take_back(world: World) -> None:
    with pytest.raises(ConfigurationError, match="was not made by a repartition"):
        repartition.check_unused(world.log, world.app, "counter")


def test_one_that_was_given_up_leaves_the_old_one_as_it_was(world: World) -> None:
    before = world.changelog()
    mortal = kit.Mortal(world.log, 30)
    with pytest.raises(Killed):
        repartitioned(world, 6, mortal)
    with pytest.raises(Busy, match="a repartition makes generation 2 of counter"):
        world.start(INSTANCES, "w-0")
    making = generations.under_way(world.log, world.app, "counter")
    assert making is not None

    generations.abandon(world.log, making)

    kit.follow(world)
    assert (world.names.generation, world.changelog()) == (1, before)
    repartitioned(world, 3)
    assert (world.names.generation, world.changelog()) == (3, before)  # no number comes twice
    go_on(world)
