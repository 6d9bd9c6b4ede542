"""Other partitions on a real Kafka, as it is typed: nothing is lost, doubled or forgotten."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.generations import read_state
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.roles import ROLES
from pmstream.testing.killed import Killed
from tests.cli.conftest import Shell
from tests.cli.operated import PM
from tests.faults.kafka_kit import wait_until
from tests.faults.kit import in_condition
from tests.operate import repartitioned as kit
from tests.operate.repartitioned import uuids
from tests.runtime import clocked
from tests.runtime.clocked import FIRED
from tests.runtime.ordered import give
from tests.runtime.world import World

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
PATIENCE = 120.0
EACH = 4
LATER_SECONDS = 3_600
CODE = "tests.cli.operated:named"
SOON = "soon-0"
"""A process whose timer comes due by itself, in the generation after that which set it."""

ONCE = [(1, 1), (2, 2), (3, 3)]


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.fixture
def world(
    kafka: Cluster, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[World]:
    for name in ("TIMER_SECONDS", "HOLD_SECONDS"):
        monkeypatch.setattr(clocked, name, LATER_SECONDS)
    name = f"moved{time.time_ns()}"
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    shell.environment["PMSTREAM_APP__name"] = name
    log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6_000)
    app = clocked.make_app(name, completed_for=36_000)
    made = World(log, tmp_path, SystemClock(), 4, app)
    made.manager.retry_delay = LATER_SECONDS
    yield made
    made.close()


def until(world: World, is_done: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < deadline, world.told[-5:]
        world.turn(10)


def has_lived(world: World) -> None:
    """Instances of every condition."""
    world.start_all()
    kit.populate(world, EACH)
    last = {
        "go": Condition.IDLE,
        "timer": Condition.IDLE,
        "park": Condition.PARKED,
        "retry": Condition.RETRYING,
        "early": Condition.HOLDING,
        "ended": Condition.COMPLETED,
    }
    until(world, lambda: kit.conditions(world) == {each: {last[each]} for each in last})
    until(world, lambda: all(world.counts(each)[-1:] == [(3, 3)] for each in uuids("go", EACH)))
    world.settle()
    world.close()


def typed(world: World, shell: Shell, *arguments: str) -> tuple[int, str, str]:
    """Runs the command, once the sessions of those that were closed have ended."""
    groups = [world.names.group(role) for role in ROLES]
    wait_until(lambda: not any(world.log.members(group) for group in groups))
    return shell.run("topics", "repartition", CODE, PM, *arguments)


def go_on(world: World, number: int) -> None:
    """One more event for those that are idle, and one that sets a timer which comes due later."""
    world.start_all()
    idle = [*uuids("go", EACH), *uuids("timer", EACH)]
    for process in idle:
        world.count(process, [number])
    until(world, lambda: all((number, number) in world.counts(each) for each in idle))
    world.settle()
    world.count(SOON, [1], what="timer")  # last: it is to come due when nobody is here any more
    until(world, lambda: (1, 1) in world.counts(SOON))
    world.close()
    assert world.counts(SOON) == [(1, 1)]


def end_all(world: World) -> None:
    """Timers fire, retries are tried, what is parked is released, the start of early ones comes."""
    world.manager.healed = True
    world.start_all()
    for process in uuids("timer", EACH):
        give(world, Verb.FIRE, process, name="it")
    for process in uuids("retry", EACH):
        give(world, Verb.RETRY, process)
    for process in uuids("park", EACH):
        give(world, Verb.RELEASE, process)
    for process in uuids("early", EACH):
        world.count(process, [4], what="new")
    for process in uuids("ended", EACH):
        world.count(process, [4])
    until(world, lambda: kit.conditions(world)["retry"] == {Condition.IDLE})
    until(world, lambda: kit.conditions(world)["park"] == {Condition.IDLE})
    until(world, lambda: all(len(world.counts(each)) == 2 for each in uuids("early", EACH)))
    until(world, lambda: all(FIRED in dict(world.counts(each)) for each in uuids("timer", EACH)))
    world.settle()


def test_there_and_back_and_nothing_counts_twice(
    world: World, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_lived(world)
    before, commands = world.changelog(), len(world.commands())

    # To six, killed twice on the way.
    for at in (9, 30):
        code, out, err = typed(world, shell, "--partitions", "6", "-o", "json")
        assert (code, json.loads(out)["under_way"]) == (0, []), err
        mortal: Any = kit.Mortal(world.log, at)
        with pytest.raises(Killed):
            kit.repartitioned(world, 6, mortal)
        assert read_state(world.log, world.app.name, PM).change is not None
    code, _, err = typed(world, shell, "--partitions", "6", "--yes")
    assert (code, "generation 2 of counter is live, with 6" in err) == (0, True), err
    kit.follow(world)
    assert (world.partitions, world.changelog()) == (6, before)

    # What was handled is dropped when it is delivered again.
    code, _, err = shell.run("replay", CODE, PM, "--from", "origin", "--yes")
    assert code == 0, err
    monkeypatch.setattr(clocked, "TIMER_SECONDS", 20)
    go_on(world, 4)
    others = [each for each in world.commands() if each.process != SOON]
    assert len(others) == commands + 2 * EACH
    code, _, err = typed(world, shell, "--roll-back", "--yes")
    assert (code, "has worked since" in err) == (2, True), err

    # To three; then everything that waited ends, once.
    before = world.changelog()
    code, _, err = typed(world, shell, "--partitions", "3", "--yes")
    assert code == 0, err
    kit.follow(world)
    assert (world.names.generation, world.partitions, world.changelog()) == (3, 3, before)
    end_all(world)
    until(world, lambda: FIRED in dict(world.counts(SOON)))
    world.settle()
    assert world.counts(SOON) == [(1, 1), (FIRED, 1)]
    for kind in ("park", "retry"):
        assert [world.counts(each) for each in uuids(kind, EACH)] == [ONCE] * EACH
    for process in uuids("go", EACH):
        assert world.counts(process) == [*ONCE, (4, 4)]
    for process in uuids("timer", EACH):
        assert world.counts(process) == [*ONCE, (4, 4), (FIRED, 4)]
    for process in uuids("early", EACH):
        assert world.counts(process) == [(4, 1), (1, 2)]
    for process in uuids("ended", EACH):
        assert world.counts(process) == ONCE[:2]
    assert world.stores() == world.changelog()


def test_it_is_taken_back_and_refused_while_something_is_under_way(
    world: World, shell: Shell
) -> None:
    world.start_all()
    world.count("a", [1, 2])
    until(world, lambda: world.counts("a") == [(1, 1), (2, 2)])
    code, _, err = shell.run("topics", "repartition", CODE, PM, "--partitions", "6", "--yes")
    assert (code, "workers of counter run" in err) == (75, True), err
    world.workers.pop("w-0").close()
    world.count("a", [3])
    until(world, lambda: len(world.read(world.names.inbox)) == 3)
    world.close()

    code, out, err = typed(world, shell, "--partitions", "6", "--yes")
    assert (code, "1 events are not taken in" in out) == (1, True), err
    world.start("instances", "w-0")
    until(world, lambda: world.counts("a")[-1] == (3, 3))
    world.close()
    before = world.changelog()
    code, _, err = typed(world, shell, "--partitions", "6", "--yes")
    assert code == 0, err
    code, _, err = typed(world, shell, "--roll-back", "--yes")
    assert code == 0, err
    kit.follow(world)
    assert (world.names.generation, world.partitions, world.changelog()) == (1, 4, before)
    world.start_all()
    world.count("a", [4])
    until(world, lambda: world.counts("a")[-1] == (4, 4))
    assert in_condition(world, "a") is Condition.IDLE
