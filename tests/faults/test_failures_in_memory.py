"""Failing instances on the memory log: who waits, who does not, what survives."""

from pathlib import Path
from typing import Any

import pytest

from pmstream import failure
from pmstream.core.failure import FailureContext
from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import expected, in_condition, instance, partitions_of
from tests.runtime.world import World, make_app


def heal(world: World) -> None:
    world.manager.healed = True


FULL = "the backlog of process a is full"


def test_f28_m_a_paused_partition_that_comes_back_runs_at_its_position(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    world = World(log, tmp_path, clock, partitions=2, app=make_app(backlog_limit=5))
    world.start_all()
    world.start(INSTANCES, "w-1")
    world.manager.retry_delay = 60
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    for _ in range(4):
        blocked = len(world.told)
        world.settle(lambda since=blocked: ("blocked", FULL) in told_since(world, since))  # type: ignore[misc]
        log.rebalance(world.names.group(INSTANCES), rotate=True)
    heal(world)
    clock.advance(60)
    world.settle(lambda: world.counts("a") == expected(20))
    world.settle()
    assert world.counts("b") == expected(3)
    assert world.stores() == world.changelog()
    world.close()


def told_since(world: World, since: int) -> list[tuple[str, str]]:
    return [(what, text) for what, _, text in world.told[since:]]


def test_f40_m_a_retry_waits_alone_and_keeps_the_order_behind_it(
    fresh: World, clock: VirtualClock
) -> None:
    """The neighbours' commands are out while one of many waits."""
    fresh.manager.retry_delay = 3600
    neighbours = [f"n{number}" for number in range(1_000)]
    fresh.count("a", [0])
    fresh.count("a", [1], what="retry")
    fresh.count("a", [2, 3])
    for each in neighbours:
        fresh.count(each, [0])
    fresh.settle(lambda: len(fresh.commands()) == 1 + len(neighbours))
    assert fresh.counts("a") == [(0, 1)]
    assert in_condition(fresh, "a") is Condition.RETRYING
    heal(fresh)
    clock.advance(3600)
    fresh.settle(lambda: len(fresh.counts("a")) == 4)
    fresh.settle()
    assert fresh.counts("a") == expected(4)
    assert in_condition(fresh, "a") is Condition.IDLE
    assert fresh.stores() == fresh.changelog()


def test_f40_m_a_parked_instance_holds_up_nobody_else(fresh: World) -> None:
    fresh.count("a", [0], what="park")
    fresh.count("a", [1, 2])
    fresh.count("b", range(3))
    fresh.settle()
    assert fresh.counts("a") == []
    assert fresh.counts("b") == expected(3)
    parked = instance(fresh, "a")
    assert parked is not None
    assert (in_condition(fresh, "a"), parked.backlog.size) == (Condition.PARKED, 2)


@pytest.mark.parametrize("steps", [(-3600, 7200), (3600, -7200)], ids=["back", "forward"])
def test_f42_m_a_wall_clock_that_steps_fires_a_retry_once(
    fresh: World, clock: VirtualClock, steps: tuple[float, float]
) -> None:
    fresh.manager.retry_delay = 10
    fresh.count("a", [0], what="retry")
    fresh.settle(lambda: in_condition(fresh, "a") is Condition.RETRYING)
    heal(fresh)
    clock.step(steps[0])
    before = clock.monotonic()
    fresh.turn(50)
    assert fresh.counts("a") == (expected(1) if steps[0] > 0 else [])
    assert clock.monotonic() - before > 1, "turns that wait for nothing are a busy loop"
    clock.step(steps[1])
    if steps[1] > 0:
        fresh.settle(lambda: fresh.counts("a") == expected(1))
    fresh.settle()
    assert fresh.counts("a") == expected(1)


def test_f46_m_a_full_backlog_pauses_the_partition_and_lets_it_go_again(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    world = World(log, tmp_path, clock, partitions=1, app=make_app(backlog_limit=5))
    world.start_all()
    world.manager.retry_delay = 60
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
    assert partitions_of(world)[0].blocked == "a"
    heal(world)
    clock.advance(60)
    world.settle(lambda: len(world.counts("a")) == 20 and len(world.counts("b")) == 3)
    assert world.counts("a") == expected(20)
    world.close()


def test_f48_m_a_long_backlog_drains_over_several_batches_also_after_a_crash(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    """No further input ever comes."""
    world = World(log, tmp_path, clock, max_batch_records=50)
    world.start_all()
    world.manager.retry_delay = 60
    world.count("a", [0], what="retry")
    world.count("a", range(1, 450))
    world.settle(lambda: (found := instance(world, "a")) is not None and found.backlog.size == 449)
    heal(world)
    clock.advance(60)
    world.settle(lambda: 100 < len(world.counts("a")) < 449)
    world.crash("w-0")
    world.start(INSTANCES, "w-0")
    world.settle(lambda: len(world.counts("a")) == 450)
    assert world.counts("a") == expected(450)
    world.settle()
    assert world.stores() == world.changelog()
    world.close()


def test_f51_m_the_start_passes_the_event_that_waits_for_it(fresh: World) -> None:
    fresh.manager.retry_delay = 3600
    fresh.count("a", [1], what="only")
    fresh.settle(lambda: in_condition(fresh, "a") is Condition.RETRYING)
    fresh.count("a", [0], what="new")
    fresh.count("a", [2])
    fresh.settle(lambda: len(fresh.counts("a")) == 3)
    assert fresh.counts("a") == expected(3)


def test_f51_m_the_start_passes_the_event_that_is_parked_for_it(fresh: World) -> None:
    """The parked one and what came later still wait for the operator, in order."""
    fresh.manager.error = lambda *_: failure.Park()  # type: ignore[method-assign]
    fresh.workers.pop("w-0").close()
    fresh.start(INSTANCES, "w-0")  # callbacks are bound at the start
    fresh.count("a", [1], what="only")
    fresh.settle(lambda: in_condition(fresh, "a") is Condition.PARKED)
    fresh.count("a", [0], what="new")
    fresh.count("a", [2])
    fresh.settle()
    assert fresh.counts("a") == expected(1)
    parked = instance(fresh, "a")
    assert parked is not None
    assert (in_condition(fresh, "a"), parked.backlog.size) == (Condition.PARKED, 1)


def test_f51_m_a_start_from_the_backlog_that_halts_is_passed_by_nobody(fresh: World) -> None:
    """It ends one worker after the other until a deploy, and comes before what arrived since."""

    def error(raised: Exception, failed: Any, context: FailureContext) -> failure.Answer:
        if failed.what == "retry":
            return failure.Retry(delay=5) if context.attempts == 1 else failure.Skip()
        return failure.Stop(raised) if failed.what == "halt" else failure.Park()

    def restart() -> None:
        fresh.workers.pop("w-0").close()
        fresh.start(INSTANCES, "w-0")

    fresh.manager.error = error  # type: ignore[method-assign,assignment]
    restart()  # callbacks are bound at the start
    fresh.count("a", [0])
    fresh.count("a", [1], what="retry")
    fresh.settle(lambda: in_condition(fresh, "a") is Condition.RETRYING)
    for number, what in enumerate(("stop", "only", "halt"), start=2):
        fresh.count("a", [number], what=what)
    with pytest.raises(Stopped):
        fresh.settle()
    fresh.count("a", [5])
    fresh.workers["router-0"].turn()
    restart()
    with pytest.raises(Stopped):
        fresh.settle()

    heal(fresh)
    restart()
    fresh.settle()

    assert fresh.counts("a") == [(0, 1), (4, 1)]
    left = instance(fresh, "a")
    assert left is not None
    assert (in_condition(fresh, "a"), left.backlog.size) == (Condition.PARKED, 1)


def test_f51_m_a_stop_behind_the_waiting_event_does_not_pass_it(fresh: World) -> None:
    fresh.manager.retry_delay = 3600
    fresh.count("a", [1], what="only")
    fresh.settle(lambda: in_condition(fresh, "a") is Condition.RETRYING)
    fresh.count("a", [2], what="stop")
    fresh.settle()
    fresh.count("a", [0], what="new")
    fresh.settle(lambda: len(fresh.counts("a")) == 2)
    fresh.settle()
    assert fresh.counts("a") == expected(2)
    assert instance(fresh, "a") is None
