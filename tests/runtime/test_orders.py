"""Operators' orders through the whole runtime: obeyed once, with an audit, whatever dies."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Order, Verb
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import STEPS
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import (
    order_record,
)
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import in_condition
from tests.runtime.ordered import give, outcome, parked, write
from tests.runtime.world import World, make_app

Make = Callable[..., World]


class Crash(Exception):
    """The process is killed at that step."""


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock) -> Iterator[World]:
    made = World(MemoryLog(clock), tmp_path, clock)
    yield made
    made.close()


def test_a_released_instance_goes_on_and_the_audit_tells_who_and_why(world: World) -> None:
    parked(world, 3, 4)
    world.manager.healed = True

    give(world, Verb.RELEASE)
    told = outcome(world)

    assert told.accepted
    assert (told.order.who, told.order.why, told.owner) == (
        "ops",
        "a test",
        "world.counter.instances.w-0",
    )
    assert told.before is not None
    assert told.after is not None
    assert (told.before.condition, told.before.backlog) == ("parked", 2)
    assert told.before.error == "Oops: park"
    assert (told.before.state, told.after.state) == ({"count": 1}, {"count": 2})
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    assert world.counts("a") == [(1, 1), (2, 2), (3, 3), (4, 4)]


def test_a_refused_order_is_told_with_its_reason(world: World) -> None:
    parked(world)

    give(world, Verb.CANCEL, name="alarm")

    told = outcome(world)
    assert not told.accepted
    assert told.refused == "it has no timer 'alarm'; it has none"
    assert told.before == told.after


def test_an_order_to_nobody_is_refused(world: World) -> None:
    world.start_all()

    give(world, Verb.STOP, "nobody")

    assert outcome(world).refused.startswith("there is no such instance")


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
@pytest.mark.parametrize("step", STEPS)
def test_an_order_is_obeyed_once_wherever_its_owner_dies(
    world: World, step: str, wiped: bool
) -> None:
    parked(world, 3)
    world.manager.healed = True
    world.crash("w-0")

    def probe(at: str) -> None:
        if at == step:
            raise Crash

    world.start(INSTANCES, "w-0", probe)
    world.settle()
    give(world, Verb.RELEASE)
    with pytest.raises(Crash):
        world.settle(lambda: False)
    world.crash("w-0")
    world.start(INSTANCES, "w-1" if wiped else "w-0")
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    world.settle()

    assert world.counts("a") == [(1, 1), (2, 2), (3, 3)]
    assert outcome(world).accepted
    assert world.stores() == world.changelog()


def test_orders_reach_an_instance_whose_full_backlog_holds_its_partition_back(
    tmp_path: Path, clock: VirtualClock
) -> None:
    world = World(MemoryLog(clock), tmp_path, clock, app=make_app(backlog_limit=2))
    parked(world, 3, 4, 5, 6)
    assert [part.blocked for part in world.workers["w-0"].stage.partitions if part.blocked]  # type: ignore[attr-defined]
    world.manager.healed = True

    give(world, Verb.RELEASE)
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    world.settle()

    assert world.counts("a") == [(n, n) for n in range(1, 7)]
    world.close()


def test_an_edit_and_events_beside_it_lose_neither(world: World) -> None:
    world.start_all()
    world.count("a", range(5))
    give(world, Verb.EDIT, set={"count": 1_000})
    world.count("a", range(5, 10))
    world.settle(lambda: bool(orders.audit(world.log, world.names)))
    world.settle()

    told = outcome(world)
    if not told.accepted:  # it came before the first event
        assert world.counts("a")[-1] == (9, 10)
        return
    assert told.before is not None
    before = told.before.state["count"]
    counts = [count for _, count in world.counts("a")]
    assert counts == [*range(1, before + 1), *range(1_001, 1_001 + 10 - before)]


def test_a_paused_process_manager_takes_orders_only_and_goes_on_when_told(world: World) -> None:
    parked(world)
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "an incident", 0)
    outcome(world, world.partitions)
    world.count("a", [3])
    world.count("b", [1])
    world.settle()
    assert world.counts("b") == []

    world.crash("w-0")
    world.start(INSTANCES, "w-1")
    world.settle()
    give(world, Verb.SKIP)
    assert outcome(world, world.partitions + 1).accepted
    assert world.counts("b") == []
    orders.give_all(world.log, world.names, Verb.RESUME, "ops", "it is over", 0)
    world.settle(lambda: world.counts("b") == [(1, 1)])

    assert world.counts("a") == [(1, 1), (3, 2)]


def test_a_pause_that_was_ordered_before_the_start_counts_before_any_event(world: World) -> None:
    world.count("a", [1])
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "an incident", 0)
    world.start_all()
    outcome(world, world.partitions)
    world.settle()

    assert world.counts("a") == []
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "again", 0)
    assert outcome(world, 2 * world.partitions).refused == "it is paused already"


def test_a_paused_retry_is_not_tried(world: World, clock: VirtualClock) -> None:
    world.start_all()
    world.count("a", [1], what="retry")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "an incident", 0)
    outcome(world, world.partitions)
    world.manager.healed = True

    clock.advance(60)
    world.settle()
    assert world.counts("a") == []
    orders.give_all(world.log, world.names, Verb.RESUME, "ops", "it is over", 0)

    world.settle(lambda: world.counts("a") == [(1, 1)])


def test_an_order_in_another_partition_is_passed_on(world: World) -> None:
    parked(world)
    right = murmur2_partition(b"a", world.partitions)
    order = Order(id="1", verb=Verb.SKIP, process_uuid="a")
    out = order_record(world.names.orders, order, (right + 1) % world.partitions)

    write(world, out.value, out.headers, out.partition or 0)

    assert outcome(world).accepted
    passed = [each for each in world.read(world.names.orders) if each.value == out.value]
    assert {each.partition for each in passed} == {right, out.partition}


def test_an_order_that_nobody_obeys_yet_is_told_last(world: World, clock: VirtualClock) -> None:
    made = orders.make(Verb.SKIP, ["a", "b"], {}, "ops", "", 0)
    given = orders.give(world.log, world.names, made)

    assert list(orders.outcomes(world.log, given, clock, 1.0)) == [(each, None) for each in given]
    world.start_all()
    outcome(world, 2)

    told = [found for _, found in orders.outcomes(world.log, given, clock, 1.0)]
    assert [found.refused[:7] for found in told if found] == ["there i"] * 2
    assert {each.where for each in given} <= {
        TopicPartition(world.names.orders, number) for number in range(world.partitions)
    }
