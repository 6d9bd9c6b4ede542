"""How an app fares, and what is found not to be well, on a world that works."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.operate.findings import Finding, findings
from pmstream.operate.orders import give_all
from pmstream.operate.status import LOOK_SECONDS, Fares, status
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime import clocked
from tests.runtime.clocked import ClockedWorld
from tests.runtime.direct_world import Direct
from tests.runtime.world import World, make_app


class Turning(VirtualClock):
    """Who sleeps lets the world go on."""

    world: World | None = None

    def sleep(self, seconds: float) -> None:
        world, self.world = self.world, None
        if world is not None:
            world.turn(50)
        self.world = world
        super().sleep(seconds)


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock) -> Iterator[World]:
    made = World(MemoryLog(clock), tmp_path, clock, app=make_app(backlog_limit=3))
    made.start_all()
    yield made
    made.close()


def look(world: World) -> Fares:
    (found,) = status(world.log, world.app, world.clock)
    return found


def found(world: World) -> list[Finding]:
    return findings([look(world)])


def group(fares: Fares, role: str) -> Any:
    return next(each for each in fares.groups if each.role == role)


def router_leaves(world: World, clock: VirtualClock) -> None:
    """It is closed, and its session ends."""
    world.workers.pop("router-0").close()
    for _ in range(4):
        clock.advance(world.settings.session_timeout_ms / 2000)
        world.turn()


def test_an_app_that_works_is_well(world: World) -> None:
    world.count("a", range(5))
    world.settle()

    fares = look(world)

    router, instances = group(fares, "router"), group(fares, "instances")
    assert (router.members, instances.members) == (("router-0",), ("w-0",))
    assert (router.partitions, instances.partitions) == (2, 3)
    assert (router.lag, router.gap, instances.lag, instances.gap) == (0, 0, 0, 0)
    assert fares.roll is not None
    assert fares.roll.instances == 1
    assert found(world) == []


def test_parked_instances_are_somebodys_business(world: World) -> None:
    world.count("a", [0], what="park")
    world.count("a", [1])
    world.count("b", [2], what="park")
    world.settle()

    fares = look(world)

    assert fares.roll is not None
    assert (fares.roll.conditions, fares.roll.backlog) == ({Condition.PARKED: 2}, 1)
    assert found(world) == [
        Finding(
            "counter",
            "2 instances are parked: somebody has to decide",
            "instances stuck APP counter",
        )
    ]


def test_a_retry_in_time_is_well_and_one_that_is_late_is_not(
    world: World, clock: VirtualClock
) -> None:
    world.manager.retry_delay = 60
    world.count("a", [0], what="retry")
    world.settle(lambda: len(world.changelog()) == 1)
    in_time = found(world)
    clock.advance(100)

    late = [each for each in found(world) if "overdue" in each.what]

    assert in_time == []
    assert len(late) == 1
    assert late[0].what.startswith("1 retries, timers, holds or replies are overdue")
    assert late[0].command.startswith("instances list APP counter --condition retrying")


def test_an_overdue_timer_is_to_be_found_among_the_timers(
    tmp_path: Path, clock: VirtualClock
) -> None:
    app = clocked.make_app(dispatch="confirm")
    world = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=app)
    world.start_all()
    world.count("a", [0], what="timer")
    world.settle(lambda: len(world.asked()) == 1)
    clock.advance(3600)

    late = [each for each in found(world) if "overdue" in each.what]

    assert [each.command for each in late] == ["timers list APP counter --due-before now"]
    world.close()


def test_a_pause_is_told_and_what_waits_because_of_it_is_not(
    world: World, clock: VirtualClock
) -> None:
    world.settle()
    give_all(world.log, world.names, Verb.PAUSE, "me", "an incident", clock.now())
    world.settle()
    world.count("a", range(5))
    world.turn(50)

    fares = look(world)

    assert group(fares, "instances").lag == 5
    assert findings([fares]) == [
        Finding("counter", "an operator has paused 3 partitions", "resume APP counter"),
    ]


def test_a_full_backlog_is_named_before_what_is_parked(world: World) -> None:
    world.count("a", [0], what="park")
    world.count("a", range(1, 8))
    world.settle()

    ordered = [each.command for each in found(world)]

    assert ordered[0] == "instances show APP counter a"
    assert ordered[1] == "doctor APP", "its partition stands"
    assert ordered[2] == "instances stuck APP counter"


def test_records_that_nobody_reads_are_told_with_whom_to_start(
    world: World, clock: VirtualClock
) -> None:
    world.count("a", range(5))
    world.settle()
    router_leaves(world, clock)
    world.count("a", range(5, 9))

    assert found(world) == [
        Finding("counter", "no router worker runs, 4 records wait", "run APP"),
    ]


def test_a_lag_that_is_worked_off_is_well(tmp_path: Path) -> None:
    clock = Turning()
    world = World(MemoryLog(clock), tmp_path, clock)
    world.start_all()
    world.settle()
    clock.world = world
    world.count("a", range(500))

    before = clock.monotonic()
    assert found(world) == []

    assert clock.monotonic() - before >= LOOK_SECONDS, "it had to look twice"
    clock.world = None
    world.close()


def test_a_lag_that_stands_is_not(world: World) -> None:
    world.count("a", range(5))
    world.settle()
    world.count("a", range(5, 9))  # nobody turns

    (finding,) = found(world)

    assert finding.what == "records wait and nothing moves in world.events-0"
    assert finding.command == "doctor APP"


def test_an_open_transaction_that_stays_is_told(world: World) -> None:
    world.count("a", range(2))
    world.settle()
    producer = world.log.producer("somebody")
    producer.begin()
    producer.produce("world.events", b"x", partition=1)
    producer.flush(1)

    (finding,) = found(world)

    assert finding.what == "an open transaction hides the end of world.events-1"


def test_a_router_without_positions_is_told_to_set_them(world: World, clock: VirtualClock) -> None:
    router_leaves(world, clock)
    world.log.forget_positions("world.counter.router")  # type: ignore[attr-defined]

    first = found(world)[0]

    assert first.what == "its router has no position in world.events"
    assert first.command == "topics ensure APP"


def test_a_missing_topic_is_told_and_nothing_else(tmp_path: Path, clock: VirtualClock) -> None:
    (fares,) = status(MemoryLog(clock), make_app(), clock)

    (finding,) = findings([fares])

    assert finding.what.startswith("there is no topic world.events, world.counter.inbox")
    assert finding.command == "topics check APP"


@pytest.mark.parametrize(("age", "is_well"), [(0, False), (2 * 24 * 3600, True)])
def test_dead_letters_of_the_last_day_are_told(
    world: World, clock: VirtualClock, age: float, is_well: bool
) -> None:
    writer = world.log.writer()
    writer.produce(world.names.inbox, b"no router wrote that", b"a", partition=0)
    writer.produce(world.source, b"nor is this an event", b"a", partition=0)
    writer.flush(1)
    world.settle()
    clock.advance(age)
    world.turn(50)

    fares = look(world)

    assert fares.dead_letters.count == 2
    commands = [each.command for each in findings([fares])]
    assert commands == ([] if is_well else ["dead-letters list APP counter --since 1d"])


def test_direct_mode_has_no_router(tmp_path: Path, clock: VirtualClock) -> None:
    world = Direct(MemoryLog(clock), tmp_path, clock, app=make_app(keyed="world.events"))
    world.start_all()
    world.count("a", range(5))
    world.settle()

    fares = look(world)

    assert [each.role for each in fares.groups] == ["instances"]
    assert group(fares, "instances").lag == 0
    assert findings([fares]) == []
    world.close()
