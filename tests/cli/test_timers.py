"""`pmstream timers list` and `pmstream instances check`."""

import json
from pathlib import Path

import pytest

from pmstream.core.instance import Instance, Status, Timer, Timers, dump_instance
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import instance_key
from tests.cli.conftest import APP, Pmstream

PM = "transfer-money"
PENDING = {"remind": Timer(10, 1), "expire": Timer(2_000_000_000_000, 2)}


@pytest.fixture
def one(bank: MemoryLog) -> MemoryLog:
    """An instance with two timers, whose state today's code cannot read."""
    record = Instance(status=Status.RUNNING, state=b"\xc1", timers=Timers(PENDING, 2))
    writer = bank.writer()
    topic = "bank.transfer-money.changelog"
    writer.produce(topic, dump_instance(record), instance_key("a"), partition=0)
    writer.flush(1)
    return bank


def test_timers_are_listed_by_time(pmstream: Pmstream, one: MemoryLog) -> None:
    rows = json.loads(pmstream("timers", "list", APP, PM, "-o", "json").stdout)

    assert [(row["uuid"], row["timer"], row["due"]) for row in rows] == [
        ("a", "remind", "1970-01-01T00:00:00.010000+00:00"),
        ("a", "expire", "2033-05-18T03:33:20+00:00"),
    ]


TWO = """
from pmstream import App
from pmstream.examples.transfer import TransferMoney, app as bank

class Second(TransferMoney):
    name = "second"

app = App(
    name="bank",
    schemas=bank.schemas,
    events=bank.events,
    commands=bank.commands,
    process_managers=[Second(), TransferMoney()],
)
"""


def test_timers_of_all_process_managers_are_listed_by_time(
    pmstream: Pmstream, one: MemoryLog, folder: Path
) -> None:
    (folder / "two_managers.py").write_text(TWO)
    app = "two_managers:app"
    assert pmstream("topics", "ensure", app, "--create-missing", "--yes").exit_code == 0
    writer = one.writer()
    record = Instance(status=Status.RUNNING, timers=Timers({"between": Timer(1_000, 1)}, 1))
    writer.produce("bank.second.changelog", dump_instance(record), instance_key("b"), partition=0)
    writer.flush(1)

    rows = json.loads(pmstream("timers", "list", app, "-o", "json").stdout)

    assert [(row["process_manager"], row["timer"]) for row in rows] == [
        (PM, "remind"),
        ("second", "between"),
        (PM, "expire"),
    ]


def test_all_process_managers_are_known_by_the_code_only(
    pmstream: Pmstream, one: MemoryLog
) -> None:
    result = pmstream("timers", "list", "bank")

    assert result.exit_code == 2
    assert "say which process manager, or give the app as module:attribute" in result.stderr


def test_a_limit_is_told(pmstream: Pmstream, one: MemoryLog) -> None:
    result = pmstream("timers", "list", APP, PM, "--limit", "1")

    assert "remind" in result.stdout
    assert "expire" not in result.stdout
    assert "2 timers, the first 1 are shown" in result.stderr


@pytest.mark.parametrize(
    ("time", "rows"), [("now", 1), ("2040-01-01T00:00+00:00", 2), ("1970-01-01T00:00+00:00", 0)]
)
def test_those_due_before_a_time_are_listed(
    pmstream: Pmstream, one: MemoryLog, time: str, rows: int
) -> None:
    result = pmstream("timers", "list", "bank", PM, "--due-before", time, "-o", "json")

    assert len(json.loads(result.stdout)) == rows


@pytest.mark.parametrize(
    ("time", "why"), [("soon", "which is no time"), ("2040-01-01", "has no time zone")]
)
def test_a_time_that_is_none_is_told(
    pmstream: Pmstream, one: MemoryLog, time: str, why: str
) -> None:
    result = pmstream("timers", "list", APP, PM, "--due-before", time)

    assert result.exit_code == 2
    assert why in result.stderr


def test_a_check_names_what_today_s_code_cannot_read(pmstream: Pmstream, one: MemoryLog) -> None:
    table = pmstream("instances", "check", APP)
    report = pmstream("instances", "check", APP, PM, "-o", "json")

    assert (table.exit_code, report.exit_code) == (1, 1)
    assert "transfer-money: 1 instances (state_version: 1 of 1)" in table.stdout
    [found] = json.loads(report.stdout)
    assert [(each["uuid"], each["what"]) for each in found["unfit"]] == [("a", "state")]


def test_a_check_without_faults_is_quiet(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("instances", "check", APP)

    assert result.exit_code == 0
    assert "0 faults" in result.stdout
