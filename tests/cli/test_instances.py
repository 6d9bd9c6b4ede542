"""`pmstream instances`: shown by the app's code or by its name alone."""

import json

import msgspec
import pytest

from pmstream.core.instance import Backlog, Instance, Status, dump_instance
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import instance_key
from tests.cli.conftest import APP, Pmstream

PM = "transfer-money"
IDLE = Instance(status=Status.RUNNING, state=msgspec.msgpack.encode({"amount": 7}))
DRAINING = Instance(status=Status.RUNNING, state=IDLE.state, backlog=Backlog(size=2))


@pytest.fixture
def two(bank: MemoryLog) -> MemoryLog:
    """An idle instance and one with a backlog."""
    writer = bank.writer()
    for uuid, instance in (("a", IDLE), ("b", DRAINING)):
        partition = murmur2_partition(uuid.encode(), 3)
        topic = "bank.transfer-money.changelog"
        writer.produce(topic, dump_instance(instance), instance_key(uuid), partition=partition)
    writer.flush(1)
    return bank


@pytest.mark.parametrize("app", [APP, "bank"])
def test_list_shows_all(pmstream: Pmstream, two: MemoryLog, app: str) -> None:
    result = pmstream("instances", "list", app, PM, "-o", "json")

    rows = json.loads(result.stdout)
    assert [(row["uuid"], row["condition"], row["backlog"]) for row in rows] == [
        ("a", "idle", 0),
        ("b", "draining", 2),
    ]
    assert rows[0]["state"] == {"amount": 7}


def test_list_shows_those_in_a_condition(pmstream: Pmstream, two: MemoryLog) -> None:
    draining = pmstream("instances", "list", APP, PM, "--condition", "draining")
    parked = pmstream("instances", "list", APP, PM, "--condition", "parked")

    assert [line.split()[:2] for line in draining.stdout.splitlines()] == [
        ["uuid", "condition"],
        ["b", "draining"],
    ]
    assert (parked.exit_code, parked.stdout) == (0, "")


def test_show_tells_all_of_one(pmstream: Pmstream, two: MemoryLog) -> None:
    table = pmstream("instances", "show", APP, PM, "a")
    row = json.loads(pmstream("instances", "show", APP, PM, "a", "-o", "json").stdout)

    assert row["uuid"] == "a"
    assert row["waiting"] == []
    assert ["condition", "idle"] in [line.split() for line in table.stdout.splitlines()]


def test_one_that_is_not_there_is_told(pmstream: Pmstream, two: MemoryLog) -> None:
    result = pmstream("instances", "show", APP, PM, "nobody")

    assert result.exit_code == 1
    assert (
        result.stderr
        == "pmstream: transfer-money has no instance nobody: it never began, or " + ("has ended\n")
    )


@pytest.mark.parametrize(
    ("app", "manager", "text"),
    [
        (APP, "transfers", "app bank has no process manager 'transfers'; it has transfer-money"),
        ("shop", PM, "there is no topic shop.transfer-money.changelog"),
    ],
)
def test_an_unknown_process_manager_is_told(
    pmstream: Pmstream, bank: MemoryLog, app: str, manager: str, text: str
) -> None:
    result = pmstream("instances", "list", app, manager)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
