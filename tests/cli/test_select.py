"""Whom an order means: --where, --condition, --limit, --rate; and `instances list` and `stuck`."""

import json
from collections.abc import Iterator
from itertools import pairwise
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
from tests.runtime.clocked import ClockedWorld, make_app

PARKED = ("p1", "p2", "p3")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClockedWorld]:
    """p1 has counted 1, p2 2, p3 3; the next event of each is parked. i is idle, r retries."""
    clock = WorkedClock()
    made = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=make_app())
    made.manager.retry_delay = 100_000
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    for count, process in enumerate(PARKED, 1):
        made.count(process, range(count))
        made.count(process, [9], what="park")
        made.settle()
    made.count("i", range(5))
    made.count("r", [1], what="retry")
    made.settle()
    clock.work = made.turn
    yield made
    clock.work = None
    made.close()


def rows(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output)
    return found


def uuids(output: str) -> list[str]:
    return [row["uuid"] for row in rows(output)]


@pytest.mark.parametrize("app", [CODE, NAME])
def test_orders_go_to_those_for_which_an_expression_holds(
    pmstream: Pmstream, world: ClockedWorld, app: str
) -> None:
    world.manager.healed = True
    line = ("instances", "release", app, PM, "--condition", "parked", "--where", "count >= 2")

    dry = pmstream(*line, "-o", "json")
    done = pmstream(*line, "--yes", "-o", "json")

    assert uuids(dry.stdout) == ["p2", "p3"]
    assert "2 orders to release, 0 would be refused" in dry.stderr
    assert done.exit_code == 0, done.output
    assert uuids(done.stdout) == ["p2", "p3"]
    world.settle()
    conditions = [in_condition(world, each) for each in PARKED]
    assert conditions == [Condition.PARKED, Condition.IDLE, Condition.IDLE]
    assert world.counts("p3")[-1] == (9, 4)


def test_a_limit_is_told_and_kept(pmstream: Pmstream, world: ClockedWorld) -> None:
    line = ("instances", "skip", NAME, PM, "--condition", "parked", "--limit", "2")

    result = pmstream(*line, "--yes", "-o", "json")

    assert result.exit_code == 0, result.output
    assert uuids(result.stdout) == ["p1", "p2"]
    assert "3 instances match, the first 2 are meant" in result.stderr


def test_a_rate_is_kept(pmstream: Pmstream, world: ClockedWorld) -> None:
    line = ("instances", "skip", NAME, PM, "--condition", "parked", "--rate", "0.5", "--yes")

    assert pmstream(*line).exit_code == 0

    given = sorted(each.time for each in orders.audit(world.log, world.names))
    assert all(later - first >= 1_900 for first, later in pairwise(given))


def test_nobody_to_order_about_is_told(pmstream: Pmstream, world: ClockedWorld) -> None:
    result = pmstream("instances", "skip", NAME, PM, "--where", "count > 100", "--yes")

    assert (result.exit_code, result.stdout) == (0, "")
    assert "no instance matches" in result.stderr


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("count >", "syntax error"),
        ("amount > 5", "there is no 'amount'. The state has count;"),
        ('count == "x"', "it compares a number with a string"),
    ],
)
def test_an_expression_that_is_none_is_exit_code_2(
    pmstream: Pmstream, world: ClockedWorld, where: str, text: str
) -> None:
    result = pmstream("instances", "skip", CODE, PM, "--where", where, "--yes")

    assert result.exit_code == 2
    assert text in result.stderr
    assert orders.audit(world.log, world.names) == []


def test_fields_are_known_by_the_code_before_there_are_instances(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    line = ("instances", "list", CODE, PM, "--where")

    assert uuids(pmstream(*line, "count > 4", "-o", "json").stdout) == ["i"]
    assert pmstream(*line, "nothing > 4").exit_code == 2


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--where", '$condition == "retrying"'), ["r"]),
        (("--where", "$attempts == 1", "--condition", "parked"), list(PARKED)),
        (("--older-than", "2h"), []),
        (("--older-than", "30m"), ["i", "p1", "p2", "p3", "r"]),
    ],
)
def test_a_list_is_of_those_that_are_meant(
    pmstream: Pmstream, world: ClockedWorld, options: tuple[str, ...], expected: list[str]
) -> None:
    world.clock.sleep(3_600)

    result = pmstream("instances", "list", NAME, PM, *options, "-o", "json")

    assert result.exit_code == 0, result.output
    assert uuids(result.stdout) == expected


@pytest.mark.parametrize("span", ["10", "m", "-5m", "10 minutes", "1e3s"])
def test_a_span_that_is_none_is_exit_code_2(
    pmstream: Pmstream, world: ClockedWorld, span: str
) -> None:
    result = pmstream("instances", "stuck", NAME, PM, "--older-than", span)

    assert result.exit_code == 2
    assert "which is no span of time: write 30s, 10m, 2h or 7d" in result.stderr


def test_stuck_ones_are_listed_oldest_first_with_why_and_what_to_type(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    world.clock.sleep(7_200)

    result = pmstream("instances", "stuck", CODE, PM, "--older-than", "10m", "-o", "json")

    assert result.exit_code == 1
    found = rows(result.stdout)
    assert [row["uuid"] for row in found] == [*PARKED, "r"]
    assert {row["for"] for row in found} == {"2h"}
    assert found[0]["why"] == "Oops: park"
    assert found[0]["next"] == f"pmstream instances release {CODE} {PM} p1"
    assert found[3]["next"] == f"pmstream instances retry {CODE} {PM} r"


def test_nothing_stuck_is_exit_code_0(pmstream: Pmstream, world: ClockedWorld) -> None:
    result = pmstream("instances", "stuck", NAME, PM, "--older-than", "7d")

    assert (result.exit_code, result.stdout) == (0, "")
