"""`pmstream topics repartition`: told first, done with --yes, given up, taken back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.cli import loading
from pmstream.core.orders import Verb
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.testing.killed import Killed
from tests.cli.conftest import Pmstream
from tests.cli.operated import CODE, PM
from tests.operate import repartitioned as kit
from tests.runtime.ordered import give
from tests.runtime.world import World

REPARTITION = ("topics", "repartition", CODE, PM)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """Process a is idle, b is parked, an input waits behind it; nobody runs."""
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock)
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    made.count("a", [1, 2])
    made.count("b", [1], what="park")
    made.count("b", [2])
    made.settle()
    kit.stop(made)
    yield made
    made.close()


def test_without_yes_it_is_told_and_nothing_happens(pmstream: Pmstream, world: World) -> None:
    before = world.log.topics()

    result = pmstream(*REPARTITION, "--partitions", "5")

    assert result.exit_code == 0, result.output
    first, second = result.stdout.splitlines()
    assert first == "counter: generation 1 has 3 partitions; generation 2 would have 5"
    assert second.startswith("2 instances (1 idle, 1 parked), 1 inputs waiting behind them, ")
    assert "a dry run: nothing was done; --yes does it" in result.stderr
    assert world.log.topics() == before


def test_with_yes_it_is_done_and_told_what_is_next(pmstream: Pmstream, world: World) -> None:
    before = world.changelog()

    result = pmstream(*REPARTITION, "--partitions", "5", "--yes")

    assert result.exit_code == 0, result.output
    told = result.stderr
    assert "generation 2 of counter is live, with 5 partitions: 2 instances, 1 waiting" in told
    assert "world.counter.inbox, world.counter.changelog and world.counter.orders stay" in told
    assert "the setting inbox_partitions is 3: set it to 5" in told
    kit.follow(world)
    assert world.changelog() == before
    world.start_all()
    world.count("a", [3])
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2), (3, 3)]


def test_the_setting_is_held_against_what_is_there(pmstream: Pmstream, world: World) -> None:
    pmstream(*REPARTITION, "--partitions", "5", "--yes")

    result = pmstream("topics", "check", CODE)
    rows = json.loads(pmstream("topics", "check", CODE, "-o", "json").stdout)

    assert result.exit_code == 1
    told = "world.counter.inbox.g2 has 5 partitions, the setting inbox_partitions says 3"
    assert told in result.stderr
    assert [row["text"][: len(told)] for row in rows if row["finding"] == "count"] == [told]


def test_history_goes_back_over_it(pmstream: Pmstream, world: World) -> None:
    give(world, Verb.RELEASE, "b")
    world.start(INSTANCES, "w-0")
    world.settle()
    kit.stop(world)
    before = history(pmstream)
    assert pmstream(*REPARTITION, "--partitions", "5", "--yes").exit_code == 0
    assert history(pmstream) == before  # the copy is no moment of its own
    kit.follow(world)
    world.manager.healed = True
    world.start_all()
    give(world, Verb.RELEASE, "b")
    world.count("b", [3])
    world.settle()

    old = pmstream("consume", CODE, "world.counter.inbox")
    assert (old.exit_code, "Happened" in old.stdout) == (0, True)
    rows = history(pmstream)

    assert rows[: len(before)] == before
    told = sorted(row["what"] for row in rows[len(before) :] if row["what"] != "instance")
    assert told == ["command", "command", "command", "event", "order", "outcome"]
    world.log.delete_topic("world.counter.inbox")  # type: ignore[attr-defined]
    assert len(history(pmstream)) == len(rows) - 2


def history(pmstream: Pmstream) -> list[dict[str, Any]]:
    result = pmstream("instances", "history", CODE, PM, "b", "-o", "json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def test_a_shadow_that_would_lie_is_refused(pmstream: Pmstream, world: World) -> None:
    pmstream(*REPARTITION, "--partitions", "5", "--yes")

    result = pmstream("replay", CODE, PM, "--shadow")

    assert result.exit_code == 2
    assert "world.counter.inbox.g2 holds no history of the instances" in result.stderr


def test_routers_whose_positions_expired_do_not_begin_as_if_nothing_had_run(
    pmstream: Pmstream, world: World
) -> None:
    pmstream(*REPARTITION, "--partitions", "5", "--yes")
    assert isinstance(world.log, MemoryLog)
    world.log.forget_positions("world.counter.router.g2")

    result = pmstream("topics", "ensure", CODE, "--yes")

    assert result.exit_code == 1
    assert "has no positions although world.counter.changelog.g2 was written" in result.stderr


def test_what_is_under_way_is_listed(pmstream: Pmstream, world: World) -> None:
    world.start(ROUTER, "router-0")
    world.count("a", [3, 4])
    world.settle()
    kit.stop(world)

    table = pmstream(*REPARTITION, "--partitions", "5", "--yes")
    found = json.loads(pmstream(*REPARTITION, "--partitions", "5", "-o", "json").stdout)

    assert table.exit_code == 1
    assert "it is not drained; this is under way" in table.stderr
    assert "2 events are not taken in" in table.stdout
    [left] = found["under_way"]
    assert (found["partitions"], found["new_partitions"], found["instances"]) == (3, 5, 2)
    assert left["what to do"].startswith("start the instances workers (not the routers)")
    assert "world.counter.generations" not in world.log.topics()


def test_running_workers_are_exit_code_75(pmstream: Pmstream, world: World) -> None:
    world.start(INSTANCES, "w-0")
    world.turn(10)

    result = pmstream(*REPARTITION, "--partitions", "5", "--yes")

    assert result.exit_code == 75
    assert "workers of counter run: stop w-0" in result.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "say one of --partitions N, --abandon and --roll-back"),
        (("--partitions", "5", "--abandon"), "say one of"),
        (("--partitions", "3"), "world.counter.inbox has 3 partitions already"),
        (("--abandon",), "no repartition of counter is unfinished"),
        (("--roll-back",), "generation 1 of counter was not made by a repartition"),
    ],
)
def test_what_makes_no_sense_is_exit_code_2(
    pmstream: Pmstream, world: World, options: tuple[str, ...], told: str
) -> None:
    result = pmstream(*REPARTITION, *options)

    assert result.exit_code == 2
    assert told in result.stderr


def test_it_is_taken_back(pmstream: Pmstream, world: World) -> None:
    pmstream(*REPARTITION, "--partitions", "5", "--yes")

    dry = pmstream(*REPARTITION, "--roll-back")
    kit.follow(world)
    assert (dry.exit_code, world.names.generation) == (0, 2)
    result = pmstream(*REPARTITION, "--roll-back", "--yes")

    assert result.exit_code == 0, result.output
    assert "generation 1 of counter goes on where it stood" in result.stderr
    kit.follow(world)
    assert world.names.generation == 1
    world.start_all()
    world.count("a", [3])
    world.settle()
    assert world.counts("a")[-1] == (3, 3)


def test_an_unfinished_one_goes_on_or_is_given_up(pmstream: Pmstream, world: World) -> None:
    mortal = kit.Mortal(world.log, 14)
    with pytest.raises(Killed):
        kit.repartitioned(world, 5, mortal)

    told = pmstream(*REPARTITION, "--partitions", "5")
    assert "generation 2 would have 5 (begun before, goes on)" in told.stdout
    result = pmstream(*REPARTITION, "--abandon", "--yes")

    assert result.exit_code == 0, result.output
    assert "world.counter.inbox.g2" in result.stderr
    kit.follow(world)
    assert world.names.generation == 1
    assert pmstream(*REPARTITION, "--partitions", "5", "--yes").exit_code == 0
