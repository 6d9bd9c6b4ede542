"""Deadlines: none that downtime made false, none twice when the clock steps (F42 F46 F47 F51)."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import in_condition
from tests.runtime.clocked import FIRED, TIMER_SECONDS, ClockedWorld, asked, make_app

HOUR = 3_600
Make = Callable[..., ClockedWorld]


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock) -> Iterator[Make]:
    made: list[ClockedWorld] = []

    def make(batch: int = 2_000, **options: Any) -> ClockedWorld:
        app, log = make_app(**options), MemoryLog(clock)
        made.append(ClockedWorld(log, tmp_path, clock, 1, app, max_batch_records=batch))
        made[0].start_all()
        return made[0]

    yield make
    made[0].close()


def down_for_an_hour(
    world: ClockedWorld, clock: VirtualClock, meanwhile: Callable[[], object]
) -> None:
    world.crash("w-0")
    meanwhile()
    world.settle()  # the router goes on
    clock.advance(HOUR)
    world.start(INSTANCES, "w-0")


REPLIES_AT_ONCE = 2_000


def refuse_timeouts(world: ClockedWorld) -> None:
    """`error` is asked about nothing."""

    def error(error: Exception, *_: Any) -> Any:
        raise AssertionError(f"a false deadline: {error!r}")

    world.app.manager("counter").error = error  # type: ignore[method-assign,assignment]


@pytest.mark.parametrize("later", [False, True], ids=["quiet inbox", "later events"])
@pytest.mark.parametrize("batch", [500, 5_000])
def test_f47_m_a_reply_that_waits_behind_others_in_its_topic_is_no_timeout(
    make: Make, clock: VirtualClock, batch: int, later: bool
) -> None:
    world = make(batch, dispatch="confirm", confirm_timeout=30)
    world.count("a", [1])
    world.settle(asked(world, 1))
    refuse_timeouts(world)

    def meanwhile() -> None:
        writer = world.log.writer()
        for _ in range(REPLIES_AT_ONCE + 500):  # more than is read at once
            writer.produce(world.names.replies, None, b"nobody", (), 0)
        writer.flush(10)
        world.reply(world.asked()[0])
        if later:  # its time is after the deadline
            clock.advance(HOUR)
            world.count("b", [1], what="ignore")
            world.count("c", [1])

    down_for_an_hour(world, clock, meanwhile)
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)

    assert world.counts("a") == [(1, 1)]


def test_f47_m_nothing_is_due_before_what_stood_in_the_inbox_has_been_gathered(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    world.count("a", [1], what="timer")
    world.settle(asked(world, 1))
    down_for_an_hour(world, clock, lambda: world.count("a", [2], what="stop"))
    worker = world.workers["w-0"]

    while not worker.stage.load().waiting:
        worker.stage.process(clock.now(), 100)  # it runs, and has gathered nothing so far
        assert not worker.stage.load().staged
        worker.stage.catch_up(worker._consumer)
        worker.stage.process(clock.now(), 100)
        assert not worker.stage.load().staged
        worker.stage.take(worker._gather())
    world.settle()

    assert world.counts("a") == [(1, 1)]


def test_f47_m_a_start_that_waits_in_the_inbox_ends_a_hold(make: Make, clock: VirtualClock) -> None:
    world = make(5)
    world.count("a", [1], what="early")
    world.settle(lambda: in_condition(world, "a") is Condition.HOLDING)

    def meanwhile() -> None:
        world.count("others", range(50))  # more than is gathered at once
        world.count("a", [2])

    down_for_an_hour(world, clock, meanwhile)
    world.settle(asked(world, 52))

    assert world.counts("a") == [(2, 1), (1, 2)]


def test_f47_m_a_stop_that_waits_in_the_inbox_ends_a_timer(make: Make, clock: VirtualClock) -> None:
    world = make()
    world.count("a", [1], what="timer")
    world.settle(asked(world, 1))

    down_for_an_hour(world, clock, lambda: world.count("a", [2], what="stop"))
    world.settle()

    assert world.counts("a") == [(1, 1)]
    assert in_condition(world, "a") is Condition.ABSENT


@pytest.mark.parametrize("step", [-HOUR, HOUR], ids=["back", "forward"])
def test_f42_m_timers_fire_once_when_the_clock_steps(
    make: Make, clock: VirtualClock, step: int
) -> None:
    world = make()
    for process in ("a", "b"):
        world.count(process, [1], what="timer")
    world.settle(asked(world, 2))

    clock.step(step)
    world.turn(10)
    clock.step(-step)
    clock.advance(TIMER_SECONDS)
    world.settle(asked(world, 4))
    world.restart()
    clock.advance(TIMER_SECONDS)
    world.settle()

    assert world.counts("a") == world.counts("b") == [(1, 1), (FIRED, 1)]


@pytest.mark.parametrize("answered", [True, False], ids=["reply", "deadline"])
def test_f46_m_a_reply_or_its_deadline_frees_a_partition_that_a_full_backlog_blocks(
    make: Make, clock: VirtualClock, answered: bool
) -> None:
    world = make(dispatch="confirm", confirm_timeout=30, backlog_limit=3)
    world.count("a", range(1, 7))
    world.settle(lambda: any(what == "blocked" for what, _, _ in world.told))
    assert len(world.asked()) == 1

    for count in range(2, 7):
        if answered:
            world.reply(world.asked()[-1])
        else:
            clock.advance(30)
        world.settle(asked(world, count))

    assert world.counts("a") == [(n, n) for n in range(1, 7)]


def test_f51_m_a_held_event_and_a_stop_before_their_start_keep_their_order(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    world.count("a", [1], what="early")
    world.count("a", [2], what="stop")
    world.settle(lambda: in_condition(world, "a") is Condition.HOLDING)

    world.count("a", [3])
    world.settle(lambda: in_condition(world, "a") is Condition.ABSENT)

    assert world.counts("a") == [(3, 1), (1, 2)]
