"""A repartition is refused, with a list, while anything is under way."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.app import App
from pmstream.core.orders import Verb
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations, orders, repartition
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.testing.killed import Killed
from tests.operate import repartitioned as kit
from tests.operate.repartitioned import planned, repartitioned, stop
from tests.runtime import clocked
from tests.runtime.clocked import ClockedWorld
from tests.runtime.kill import kill_at
from tests.runtime.ordered import give
from tests.runtime.world import World

Make = Callable[..., ClockedWorld]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def make(**options: Any) -> ClockedWorld:
        clock = VirtualClock()
        app: App = clocked.make_app(**options)
        world = ClockedWorld(MemoryLog(clock), tmp_path, clock, 4, app)
        made.append(world)
        world.start_all()
        world.count("a", [1])
        world.settle()
        return world

    yield make
    for each in made:
        each.close()


@pytest.fixture
def world(make: Make) -> ClockedWorld:
    """One instance, and nobody runs."""
    world = make()
    stop(world)
    return world


def under_way(world: World) -> list[tuple[str, str]]:
    return [(each.where, each.what) for each in planned(world, 6).left]


def test_while_workers_run(make: Make) -> None:
    world = make()

    with pytest.raises(Busy, match=r"workers of counter run: stop router-0 \(group world\.counter"):
        planned(world, 6)

    world.workers.pop("router-0").close()
    for _ in range(kit.SESSION_SECONDS):
        world.clock.sleep(1)
        world.turn()
    with pytest.raises(Busy, match=r"stop w-0 \(group world\.counter\.instances\)"):
        planned(world, 6)


def test_events_that_are_not_taken_in(world: ClockedWorld) -> None:
    world.start(ROUTER, "router-0")
    world.count("a", [2, 3])
    world.settle()
    stop(world)

    assert [what for _, what in under_way(world)] == ["2 events are not taken in"]
    with pytest.raises(Busy, match="counter is not drained"):
        repartitioned(world, 6)
    world.start(INSTANCES, "w-0")
    world.settle()
    stop(world)
    assert under_way(world) == []


def test_events_that_a_pause_holds_back(make: Make) -> None:
    world = make()
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "a test", 0)
    world.settle()
    world.count("a", [2])
    world.settle()
    stop(world)

    [left] = planned(world, 6).left

    assert left.what == "1 events are not taken in"
    assert left.remedy.startswith("it is paused: `pmstream resume`")


def test_orders_that_are_not_obeyed(world: ClockedWorld) -> None:
    give(world, Verb.STOP, "a")

    [(where, what)] = under_way(world)

    assert where.startswith(world.names.orders)
    assert what == "1 orders are not obeyed"


def test_outcomes_of_orders_are_no_orders(make: Make) -> None:
    world = make()
    give(world, Verb.RETRY, "a")
    world.settle()
    stop(world)

    assert under_way(world) == []


def test_commands_whose_reply_is_to_come(make: Make) -> None:
    world = make(dispatch="confirm", confirm_timeout=3_600)
    stop(world)
    assert under_way(world) == [("a", "waits for the reply to a command that is out")]

    world.reply(world.asked()[0])
    assert len(under_way(world)) == 1  # it lies there, and nobody has read it
    world.start(INSTANCES, "w-0")
    world.settle()
    stop(world)

    assert under_way(world) == []
    repartitioned(world, 6)
    assert world.log.topics()[world.names.replies].partitions == 6
    world.start_all()
    world.count("a", [2])
    world.settle()
    world.reply(world.asked()[1])
    world.count("a", [3])
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize("topic", ["inbox", "changelog", "orders"])
def test_a_transaction_that_is_open(world: ClockedWorld, topic: str) -> None:
    name = getattr(world.names, topic)
    producer = world.log.producer("dead")
    producer.begin()
    producer.produce(name, b"?", b"?", (), 2)
    producer.flush(1)

    assert under_way(world) == [(f"{name}-2", "an open transaction")]


def test_a_worker_that_dies_in_mid_transaction(world: ClockedWorld) -> None:
    world.count("a", [2])
    world.start(ROUTER, "router-0")
    world.settle()
    world.start(INSTANCES, "w-0", kill_at("commit", 1))
    with pytest.raises(Killed):
        world.settle()
    world.crash("w-0")
    stop(world)

    assert "an open transaction" in {what for _, what in under_way(world)}
    world.clock.sleep(world.settings.transaction_timeout_ms / 1_000)
    assert [what for _, what in under_way(world)] == ["1 events are not taken in"]


def test_state_and_position_that_disagree(world: ClockedWorld) -> None:
    group = world.names.group(INSTANCES)
    places = [TopicPartition(world.names.inbox, number) for number in range(4)]
    place, committed = next(iter(world.log.last_committed(group, places).items()))
    world.log.set_positions(group, {place: committed._replace(metadata="77")})

    [(where, what)] = under_way(world)

    assert where == f"{place.topic}-{place.partition}"
    assert "sequence 77; the state at" in what


def test_routers_without_positions(world: ClockedWorld) -> None:
    assert isinstance(world.log, MemoryLog)
    world.log.forget_positions(world.names.group(ROUTER))

    [(where, what)] = under_way(world)

    assert where == "world.counter.router in world.events"
    assert what == "no positions, or of another topic"


def test_positions_of_instances_may_have_expired(world: ClockedWorld) -> None:
    assert isinstance(world.log, MemoryLog)
    world.log.forget_positions(world.names.group(INSTANCES))

    assert under_way(world) == []
    world.start(INSTANCES, "late")  # has looked which generation is live, and has not joined yet
    repartitioned(world, 6)
    with pytest.raises(Busy, match="this generation is closed"):
        world.settle()
    world.workers.clear()
    world.start_all()
    world.count("a", [2])
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2)]


def test_the_same_count_and_counts_that_are_none(world: ClockedWorld) -> None:
    with pytest.raises(ConfigurationError, match=r"world\.counter\.inbox has 4 partitions already"):
        planned(world, 4)
    with pytest.raises(ConfigurationError, match="--partitions 0: say 1 to 10000"):
        planned(world, 0)


def test_direct_mode(world: ClockedWorld) -> None:
    app = clocked.make_app(keyed="world.events")

    with pytest.raises(ConfigurationError, match=r"counter reads world\.events itself"):
        repartition.plan(world.log, app, "counter", 6, kit.quietly)


def test_a_topic_of_that_name_with_another_count(world: ClockedWorld) -> None:
    kit.other_topic(world, "world.counter.inbox.g2", 5)

    with pytest.raises(ConfigurationError, match=r"inbox\.g2 is there already, with 5 partitions"):
        repartitioned(world, 6)


def test_another_one_that_is_unfinished(world: ClockedWorld) -> None:
    mortal = kit.Mortal(world.log, 8)
    with pytest.raises(Killed):
        repartitioned(world, 6, mortal)

    with pytest.raises(Busy, match="finish it with --partitions 6, or give it up with --abandon"):
        planned(world, 5)
    assert planned(world, 6).goes_on


def test_what_comes_in_between_is_not_lost(world: ClockedWorld) -> None:
    plan = planned(world, 6)
    give(world, Verb.STOP, "a")

    with pytest.raises(Busy, match=r"something came in between: .*1 orders are not obeyed"):
        repartition.carry_out(world.log, world.app, plan, world.settings, world.clock, kit.quietly)

    making = generations.under_way(world.log, world.app, "counter")
    assert making is not None
    generations.abandon(world.log, making)
    world.start_all()
    world.settle()
    assert world.changelog() == {}
