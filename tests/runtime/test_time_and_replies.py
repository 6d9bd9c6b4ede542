"""Timers, holds, replies and their deadlines through the whole runtime, and after downtime."""

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

Make = Callable[..., ClockedWorld]


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock) -> Iterator[Make]:
    made: list[ClockedWorld] = []

    def make(settings: dict[str, Any] | None = None, **options: Any) -> ClockedWorld:
        app = make_app(**options)
        made.append(ClockedWorld(MemoryLog(clock), tmp_path, clock, app=app, **(settings or {})))
        made[0].start_all()
        return made[0]

    yield make
    made[0].close()


# Timers


@pytest.mark.parametrize("killed", [False, True], ids=["running", "killed meanwhile"])
def test_a_timer_fires_once(make: Make, clock: VirtualClock, killed: bool) -> None:
    world = make()
    world.count("a", [1], what="timer")
    world.settle(asked(world, 1))
    if killed:
        world.restart()
        world.settle()

    clock.advance(TIMER_SECONDS - 20)
    world.turn(20)
    assert world.counts("a") == [(1, 1)]
    clock.advance(20)
    world.settle(asked(world, 2))
    world.restart()
    clock.advance(TIMER_SECONDS)
    world.settle()

    assert world.counts("a") == [(1, 1), (FIRED, 1)]


def test_a_timer_that_was_due_before_an_event_fires_before_it(
    make: Make, clock: VirtualClock
) -> None:
    world = make()
    world.count("a", [1], what="timer")
    world.settle(asked(world, 1))
    world.crash("w-0")
    clock.advance(2 * TIMER_SECONDS)
    world.count("a", [2])
    world.settle()
    clock.advance(TIMER_SECONDS)

    world.start(INSTANCES, "w-0")
    world.settle(asked(world, 3))

    assert world.counts("a") == [(1, 1), (FIRED, 1), (2, 2)]


def test_a_thousand_timers_of_one_time_fire_once_each_over_many_batches(
    make: Make, clock: VirtualClock
) -> None:
    world = make({"max_batch_records": 70})
    processes = [f"p{n}" for n in range(1_000)]
    for process in processes:
        world.count(process, [1], what="timer")
    world.settle(asked(world, 1_000))

    clock.advance(TIMER_SECONDS)
    world.turn(10)
    world.restart()  # in the middle of it
    world.settle(asked(world, 2_000))

    fired = [each.process for each in world.commands() if each.n == FIRED]
    assert sorted(fired) == sorted(processes)


# Early events


def test_an_early_event_waits_in_the_store_for_its_start(make: Make, clock: VirtualClock) -> None:
    world = make()
    world.count("a", [1], what="early")
    world.settle(lambda: in_condition(world, "a") is Condition.HOLDING)
    world.restart()
    world.count("a", [2])
    world.settle(asked(world, 2))

    assert world.counts("a") == [(2, 1), (1, 2)]


# Replies


def confirmed(make: Make, **options: Any) -> ClockedWorld:
    world = make(dispatch="confirm", **options)
    world.count("a", [1, 2])
    world.settle(asked(world, 1))
    return world


def test_a_command_tells_where_to_reply_and_the_reply_goes_on(make: Make) -> None:
    world = confirmed(make)
    headers = dict(world.asked()[0].headers)
    assert headers["reply-to"] == b"world.counter.replies"
    assert in_condition(world, "a") is Condition.AWAITING

    world.reply(world.asked()[0])
    world.settle(asked(world, 2))

    assert world.counts("a") == [(1, 1), (2, 2)]


@pytest.mark.parametrize("wiped", [False, True], ids=["disk kept", "disk wiped"])
def test_replies_are_read_on_after_a_kill(make: Make, wiped: bool) -> None:
    world = confirmed(make)
    world.reply(world.asked()[0])
    world.settle(asked(world, 2))
    world.crash("w-0")
    for each in world.asked():
        world.reply(each)
    world.start(INSTANCES, "other" if wiped else "w-0")

    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)

    assert world.counts("a") == [(1, 1), (2, 2)]
    stage: Any = next(iter(set(world.workers) - {"router-0"}))
    parts = world.workers[stage].stage.partitions  # type: ignore[attr-defined]
    assert sum(part.replies.position for part in parts) == len(world.read(world.names.replies))


def test_a_reply_in_another_partition_is_passed_on(make: Make) -> None:
    world = confirmed(make)
    command = world.asked()[0]
    right = int(dict(command.headers)["reply-partition"] or b"0")

    world.reply(command, partition=(right + 1) % world.partitions)
    world.settle(asked(world, 2))

    assert world.counts("a") == [(1, 1), (2, 2)]


def test_what_is_no_reply_is_ignored_and_counted(make: Make) -> None:
    world = confirmed(make)
    writer, replies = world.log.writer(), world.names.replies
    for key, headers in ((b"a", ()), (None, ()), (b"\xff", ()), (b"a", (("command-id", b"x"),))):
        writer.produce(replies, b"{", key, headers, 0)
    writer.flush(10)
    world.settle()
    world.reply(world.asked()[0])
    world.settle(asked(world, 2))

    assert sum(part.odd_replies for part in world.stage.partitions) >= 1


def test_silence_is_a_timeout_and_the_command_keeps_its_id(make: Make, clock: VirtualClock) -> None:
    world = confirmed(make, confirm_timeout=30)

    clock.advance(30)
    world.settle(lambda: len(world.asked()) > 1)

    # Counter skips a command that failed: the next event's command is out.
    assert world.counts("a") == [(1, 1), (2, 2)]


# State versions, memory


def test_a_worker_with_older_code_leaves_the_partition_alone_and_says_so(make: Make) -> None:
    world = make(state_version=2)
    world.count("a", [1])
    world.settle(asked(world, 1))
    world.crash("w-0")
    before = world.changelog()
    manager = world.app.manager("counter")
    manager.state_version = 1
    world.start(INSTANCES, "w-0")
    world.count("a", [2])
    world.settle()

    assert ("refused", "state_version 2; this code knows 1") in [
        (what, text[text.find("state_version 2") : text.find(": it was")])
        for what, _, text in world.told
    ]
    assert world.changelog() == before
    manager.state_version = 2
    world.restart()
    world.settle(asked(world, 2))
    assert world.counts("a") == [(1, 1), (2, 2)]


def test_instances_that_nothing_touches_leave_memory_and_not_the_store(
    make: Make, clock: VirtualClock
) -> None:
    world = make(idle_timeout=60)
    world.count("a", [1])
    world.settle(asked(world, 1))
    cached = sum(part._batch.instances.cached for part in world.stage.partitions)

    clock.advance(61)
    world.turn(5)
    left = sum(part._batch.instances.cached for part in world.stage.partitions)
    world.count("a", [2])
    world.settle(asked(world, 2))

    assert (cached, left) == (1, 0)
    assert world.counts("a") == [(1, 1), (2, 2)]
