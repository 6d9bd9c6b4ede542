"""Failures through the whole runtime: who waits, who does not, and what survives a restart."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.core.instance import Condition, Instance, condition, load_instance
from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.store import instance_key
from tests.runtime.world import Happened, World, make_app


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock) -> Iterator[World]:
    made = World(MemoryLog(clock), tmp_path, clock)
    made.start_all()
    yield made
    made.close()


def instance(world: World, process: str) -> Instance | None:
    record = world.changelog().get(instance_key(process))
    return load_instance(record) if record is not None else None


def in_condition(world: World, process: str) -> Condition:
    return condition(instance(world, process))


def heal(world: World) -> None:
    world.manager.healed = True


def test_a_retry_waits_alone_and_keeps_the_order_behind_it(
    world: World, clock: VirtualClock
) -> None:
    """F40, in order: the neighbour's commands are out while the retry waits."""
    world.manager.retry_delay = 3600
    world.count("a", [0])
    world.count("a", [1], what="retry")
    world.count("a", [2, 3])
    world.count("b", range(4))
    world.settle(lambda: len(world.counts("b")) == 4 and in_condition(world, "a") != "idle")
    assert world.counts("a") == [(0, 1)]
    assert in_condition(world, "a") is Condition.RETRYING
    heal(world)
    clock.advance(3600)
    world.settle(lambda: len(world.counts("a")) == 4)
    world.settle()
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert in_condition(world, "a") is Condition.IDLE
    assert world.stores() == world.changelog()


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
def test_a_retry_survives_a_crash_with_its_attempts(
    world: World, clock: VirtualClock, wiped: bool
) -> None:
    world.manager.retry_delay = 100
    world.count("a", [0], what="retry")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    world.crash("w-0")
    world.start(INSTANCES, "other" if wiped else "w-0")
    clock.advance(100)

    def failed_twice() -> bool:
        found = instance(world, "a")
        return found is not None and found.work is not None and found.work.attempts == 2

    world.settle(failed_twice)
    heal(world)
    clock.advance(100)
    world.settle(lambda: world.counts("a") == [(0, 1)])


def test_park_holds_the_instance_and_nobody_else(world: World) -> None:
    world.count("a", [0], what="park")
    world.count("a", [1, 2])
    world.count("b", range(3))
    world.settle()
    assert world.counts("a") == []
    assert world.counts("b") == [(0, 1), (1, 2), (2, 3)]
    parked = instance(world, "a")
    assert parked is not None
    assert (in_condition(world, "a"), parked.backlog.size) == (Condition.PARKED, 2)
    assert parked.work is not None
    assert parked.work.error_type == "Oops"


def test_skip_drops_the_event_alone(world: World) -> None:
    world.count("a", [0])
    world.count("a", [1], what="skip")
    world.count("a", [2])
    world.settle()
    assert world.counts("a") == [(0, 1), (2, 2)]


def test_stop_commits_what_preceded_and_ends_with_the_reason(world: World) -> None:
    world.count("a", range(3))
    world.count("a", [3], what="halt")
    world.count("a", [4])
    with pytest.raises(Stopped, match="Oops"):
        world.settle(lambda: False)
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    world.workers.pop("w-0")
    world.start(INSTANCES, "w-1")
    with pytest.raises(Stopped, match="Oops"):
        world.settle(lambda: False)
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    world.workers.pop("w-1")
    heal(world)
    world.start(INSTANCES, "w-2")
    world.settle(lambda: len(world.counts("a")) == 5)
    assert world.counts("a") == [(n, n + 1) for n in range(5)]


def test_an_early_event_waits_for_its_start(world: World, clock: VirtualClock) -> None:
    """F51: the start passes the one that waits for it."""
    world.manager.retry_delay = 3600
    world.count("a", [1], what="only")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    world.count("a", [0], what="new")
    world.count("a", [2])
    world.settle(lambda: len(world.counts("a")) == 3)
    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


def test_a_long_backlog_drains_over_several_batches_also_after_a_crash(
    tmp_path: Path, clock: VirtualClock
) -> None:
    """F48: no further input ever comes."""
    world = World(MemoryLog(clock), tmp_path, clock, max_batch_records=50)
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
    assert world.counts("a") == [(n, n + 1) for n in range(450)]
    world.settle()
    assert world.stores() == world.changelog()
    world.close()


def test_a_full_backlog_pauses_the_partition_and_lets_it_go_again(
    tmp_path: Path, clock: VirtualClock
) -> None:
    app = make_app(backlog_limit=5)
    world = World(MemoryLog(clock), tmp_path, clock, partitions=1, app=app)
    world.start_all()
    world.manager.retry_delay = 60
    world.count("a", [0], what="retry")
    world.count("a", range(1, 20))
    world.count("b", range(3))
    world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
    stage = world.workers["w-0"].stage
    assert isinstance(stage, InstancesStage)
    assert stage.partitions[0].blocked == "a"
    heal(world)
    clock.advance(60)
    world.settle(lambda: len(world.counts("a")) == 20 and len(world.counts("b")) == 3)
    assert world.counts("a") == [(n, n + 1) for n in range(20)]
    world.close()


def test_a_wall_clock_that_steps_back_fires_a_retry_once(world: World, clock: VirtualClock) -> None:
    """F42."""
    world.manager.retry_delay = 10
    world.count("a", [0], what="retry")
    world.settle(lambda: in_condition(world, "a") is Condition.RETRYING)
    heal(world)
    clock.step(-3600)
    world.turn(50)
    assert world.counts("a") == []
    clock.step(7200)
    world.settle(lambda: world.counts("a") == [(0, 1)])
    world.settle()
    assert world.counts("a") == [(0, 1)]


def test_a_repeated_route_and_a_moved_position_run_nothing_twice(world: World) -> None:
    """F49: the router's positions are moved back after processes have ended."""
    world.count("a", range(3))
    world.count("a", [3], what="stop")
    world.count("b", range(3))
    world.settle()
    before = world.commands()
    world.workers.pop("router-0").close()
    world.log.lose(world.names.group("router"), "router-0")  # type: ignore[attr-defined]
    world.start_at_origin()
    world.start("router", "router-0")
    world.settle()
    assert world.commands() == before
    world.count("a", [9])
    world.settle()
    assert world.counts("a")[-1] == (9, 1)


def test_headers_tell_cause_and_correlation(world: World) -> None:
    world.produce(
        Happened(process="a", what="go", n=1),
        headers=(("correlation-id", b"c-1"), ("traceparent", b"00-1"), ("pm-route", b"x")),
    )
    world.settle()
    (record,) = world.read("world.commands")
    assert dict(record.headers) == {
        "command-id": b"a/world.events-0-0/0",
        "correlation-id": b"c-1",
        "causation-id": b"world.events-0-0",
        "process-uuid": b"a",
        "process-manager": b"counter",
        "traceparent": b"00-1",
    }
