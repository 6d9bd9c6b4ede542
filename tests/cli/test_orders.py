"""`pmstream instances retry|skip|release|park|edit|stop`, `timers fire|cancel`, `pause|resume`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.cli import loading
from pmstream.core.lifecycle import Condition
from pmstream.operate import orders
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import Pmstream
from tests.cli.operated import CODE, NAME, PM, WorkedClock
from tests.faults.kit import in_condition
from tests.runtime.clocked import FIRED, TIMER_SECONDS, ClockedWorld, make_app


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClockedWorld]:
    """Workers in memory: process a is parked at its second event, one waits behind; b is idle."""
    clock = WorkedClock()
    made = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=make_app())
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    made.count("a", [1])
    made.count("a", [2], what="park")
    made.count("a", [3])
    made.count("b", [4])
    made.count("b", [5])
    made.settle()
    clock.work = made.turn
    yield made
    clock.work = None
    made.close()


def told(world: ClockedWorld) -> list[Any]:
    return orders.audit(world.log, world.names)


def rows(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output)
    return found


VERBS = ("retry", "release", "skip", "park", "stop")


@pytest.mark.parametrize("app", [CODE, NAME])
@pytest.mark.parametrize("verb", VERBS)
def test_without_yes_it_is_told_what_would_happen_and_nothing_does(
    pmstream: Pmstream, world: ClockedWorld, verb: str, app: str
) -> None:
    result = pmstream("instances", verb, app, PM, "a", "nobody", "-o", "json")

    assert result.exit_code == 0, result.output
    first, second = rows(result.stdout)
    assert (first["uuid"], first["condition"]) == ("a", "parked")
    if verb == "park":
        assert first["would"] == "be refused"
        assert first["because"].startswith("it is parked")
    else:
        assert "world.events-0-1" in first["would"]
        assert first["because"] is None
    assert (second["condition"], second["would"]) == ("absent", "be refused")
    assert second["because"].startswith("there is no such instance")
    assert f"2 orders to {verb}" in result.stderr
    assert "--yes does it" in result.stderr
    assert told(world) == []
    assert in_condition(world, "a") is Condition.PARKED


def test_a_released_instance_goes_on_and_before_and_after_are_told(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    world.manager.healed = True

    result = pmstream("instances", "release", CODE, PM, "a", "--who", "ops", "--why", "a", "--yes")

    assert result.exit_code == 0, result.output
    cells = [line.split() for line in result.stdout.splitlines()]
    assert cells[0] == ["uuid", "verdict", "before", "after", "because"]
    assert cells[1][:3] == ["a", "accepted", "parked"]
    assert "1 accepted" in result.stderr
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2), (3, 3)]
    [outcome] = told(world)
    assert (outcome.order.who, outcome.order.why) == ("ops", "a")


def test_who_is_the_user_unless_it_is_told(
    pmstream: Pmstream, world: ClockedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")

    assert pmstream("instances", "retry", NAME, PM, "a", "--yes").exit_code == 0

    [outcome] = told(world)
    assert outcome.order.who == "somebody"


@pytest.mark.parametrize(
    ("verb", "after"), [("retry", "parked"), ("skip", "draining"), ("stop", "draining")]
)
def test_each_verb_is_obeyed(
    pmstream: Pmstream, world: ClockedWorld, verb: str, after: str
) -> None:
    line = ("instances", verb, NAME, PM, "a", "--why", "a test", "--yes", "-o", "json")

    result = pmstream(*line)

    assert result.exit_code == 0, result.output
    [row] = rows(result.stdout)
    assert (row["verdict"], row["before"], row["after"]) == ("accepted", "parked", after)


def test_what_retries_is_parked(pmstream: Pmstream, world: ClockedWorld) -> None:
    world.count("b", [6], what="retry")
    world.settle(lambda: in_condition(world, "b") is Condition.RETRYING)

    result = pmstream("instances", "park", CODE, PM, "b", "--why", "it must wait", "--yes")

    assert result.exit_code == 0, result.output
    assert in_condition(world, "b") is Condition.PARKED


def test_one_refusal_among_several_is_exit_code_1(pmstream: Pmstream, world: ClockedWorld) -> None:
    result = pmstream("instances", "release", CODE, PM, "a", "b", "--yes", "-o", "json")

    assert result.exit_code == 1
    by_uuid = {each["uuid"]: each for each in rows(result.stdout)}
    assert by_uuid["a"]["verdict"] == "accepted"
    assert by_uuid["b"]["verdict"] == "refused"
    assert by_uuid["b"]["because"].startswith("it works on nothing")
    assert "1 accepted, 1 refused" in result.stderr


def test_an_edit_changes_the_state_if_it_is_as_expected(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    line = ("instances", "edit", CODE, PM, "b", "--set", "count=100", "--expect", "count=2")
    dry = pmstream(*line)
    first = pmstream(*line, "--why", "a test", "--yes")
    again = pmstream(*line, "--why", "a test", "--yes", "-o", "json")

    assert dry.exit_code == 0
    assert "set count" in dry.stdout
    assert first.exit_code == 0, first.output
    assert again.exit_code == 1
    assert "field count is not 2, as was expected" in rows(again.stdout)[0]["because"]
    world.count("b", [7])
    world.settle()
    assert world.counts("b")[-1] == (7, 101)


@pytest.mark.parametrize("value", ["nothing=1", 'count="much"'])
def test_an_edit_that_does_not_fit_is_told_before_it_is_ordered(
    pmstream: Pmstream, world: ClockedWorld, value: str
) -> None:
    by_code = pmstream("instances", "edit", CODE, PM, "b", "--set", value, "-o", "json")
    by_name = pmstream("instances", "edit", NAME, PM, "b", "--set", value, "-o", "json")

    assert rows(by_code.stdout)[0]["would"] == "be refused"
    assert "its owner checks the fields" in rows(by_name.stdout)[0]["would"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("stop", CODE, PM, "a", "--yes"), "tell by --why"),
        (("edit", CODE, PM, "a", "--set", "count=1", "--yes", "--why", " "), "tell by --why"),
        (("edit", CODE, PM, "a", "--set", "count"), "it is FIELD=JSON"),
        (("edit", CODE, PM, "a", "--set", "count=many"), "'many' is no JSON"),
        (("edit", CODE, PM, "a"), "Missing option '--set'"),
        (("retry", CODE, PM), "say which instances"),
        (("retry", CODE, PM, "a", "--condition", "parked"), "one of the two"),
        (("retry", CODE, PM, "a", "b", "--limit", "1"), "2 UUIDs; --limit is 1"),
        (("retry", CODE, PM, "a\x00"), "process UUID"),
        (("retry", CODE, PM, "a", "--yes", "--why", "w" * 2001), "2000 characters"),
        (("retry", CODE, "nobody", "a"), "has no process manager 'nobody'"),
        (("retry", "nowhere", PM, "a"), "there is no topic nowhere.counter.changelog"),
        (("retry", CODE, PM, "a", "--rate", "0"), "--rate"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_exit_code_2(
    pmstream: Pmstream, world: ClockedWorld, arguments: tuple[str, ...], text: str
) -> None:
    result = pmstream("instances", *arguments)

    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert told(world) == []


def test_an_order_without_an_answer_in_time_stays_valid(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    world.workers.pop("w-0").close()

    line = ("instances", "stop", CODE, PM, "a", "b", "--why", "a test", "--yes", "--timeout", "1")
    result = pmstream(*line, "--rate", "1", "-o", "json")

    assert result.exit_code == 1
    assert [each["verdict"] for each in rows(result.stdout)] == ["no answer yet", "not given"]
    assert "stay valid" in result.stderr
    world.start("instances", "w-0")
    world.settle(lambda: len(told(world)) == 1)
    assert [each.accepted for each in told(world)] == [True]


def with_timer(world: ClockedWorld, n: int) -> None:
    """Process c sets its timer, and no time passes in which it could fire."""
    world.count("c", [n], what="timer")
    world.settle(lambda: (n, 1) in world.counts("c") or (n, 2) in world.counts("c"))


def test_a_timer_is_fired(pmstream: Pmstream, world: ClockedWorld) -> None:
    with_timer(world, 6)

    dry = pmstream("timers", "fire", CODE, PM, "c", "it")
    fired = pmstream("timers", "fire", CODE, PM, "c", "it", "--yes")
    again = pmstream("timers", "fire", CODE, PM, "c", "it", "--yes", "-o", "json")

    assert "let timer it come due now" in dry.stdout
    assert (fired.exit_code, again.exit_code) == (0, 1)
    assert "it has no timer 'it'" in rows(again.stdout)[0]["because"]
    assert world.counts("c") == [(6, 1), (FIRED, 1)]


def test_a_timer_is_cancelled(pmstream: Pmstream, world: ClockedWorld) -> None:
    with_timer(world, 6)

    dry = pmstream("timers", "cancel", CODE, PM, "c", "it")
    cancelled = pmstream("timers", "cancel", NAME, PM, "c", "it", "--yes")
    world.clock.sleep(2 * TIMER_SECONDS)
    world.settle()

    assert "forget timer it" in dry.stdout
    assert cancelled.exit_code == 0
    assert world.counts("c") == [(6, 1)]


def test_a_paused_process_manager_handles_nothing_until_it_is_resumed(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    dry = pmstream("pause", CODE, PM)
    assert (dry.exit_code, told(world)) == (0, [])
    assert "all 3 partitions of counter would take orders only" in dry.stderr

    paused = pmstream("pause", CODE, PM, "--why", "an incident", "--yes")
    twice = pmstream("pause", CODE, PM, "--yes", "-o", "json")
    world.count("b", [9])
    world.settle()
    assert world.counts("b") == [(4, 1), (5, 2)]
    resumed = pmstream("resume", NAME, PM, "--yes")
    world.settle()

    assert (paused.exit_code, twice.exit_code, resumed.exit_code) == (0, 1, 0)
    assert {each["because"] for each in rows(twice.stdout)} == {"it is paused already"}
    assert world.counts("b") == [(4, 1), (5, 2), (9, 3)]
