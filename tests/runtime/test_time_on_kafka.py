"""Timers and confirmed commands on a real Kafka, and over a change of owners."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.roles import INSTANCES
from tests.runtime import clocked
from tests.runtime.clocked import FIRED, ClockedWorld

pytestmark = pytest.mark.kafka
PATIENCE = 90.0


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


Make = Callable[..., ClockedWorld]


@pytest.fixture
def make(kafka: Cluster, tmp_path: Path) -> Iterator[Make]:
    made: list[ClockedWorld] = []

    def make(**options: Any) -> ClockedWorld:
        app = clocked.make_app(f"clocked{time.time_ns()}", **options)
        log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6_000)
        made.append(ClockedWorld(log, tmp_path, SystemClock(), 2, app))
        made[0].start_all()
        return made[0]

    yield make
    made[0].close()


def until(world: ClockedWorld, commands: int) -> None:
    """Turns until so many commands are visible, then until nothing moves."""
    deadline = time.monotonic() + PATIENCE
    while len(world.asked()) < commands:
        assert time.monotonic() < deadline, f"{len(world.asked())} commands: {world.told[-5:]}"
        world.turn(20)
    world.settle()


def hand_over(world: ClockedWorld) -> None:
    """The worker ends politely; another one takes its partitions, with an empty disk."""
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-1")


def test_timers_fire_once_each_while_their_partitions_change_hands(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clocked, "TIMER_SECONDS", 3)
    world = make()
    processes = [f"p{n}" for n in range(20)]
    for process in processes:
        world.count(process, [1], what="timer")
    until(world, 20)
    hand_over(world)

    until(world, 40)

    fired = sorted(each.process for each in world.commands() if each.n == FIRED)
    assert fired == sorted(processes)


def test_commands_are_confirmed_one_by_one_over_a_change_of_owners(make: Make) -> None:
    world = make(dispatch="confirm")
    world.count("a", [1, 2, 3])
    until(world, 1)
    hand_over(world)
    for count in (1, 2):
        world.reply(world.asked()[-1])
        until(world, count + 1)

    assert world.counts("a") == [(1, 1), (2, 2), (3, 3)]


def test_silence_is_a_timeout(make: Make) -> None:
    world = make(dispatch="confirm", confirm_timeout=1)
    world.count("a", [1, 2])

    until(world, 2)

    assert world.counts("a") == [(1, 1), (2, 2)]
