"""`pmstream wait`: handled or not, by its exit code, and why."""

import json
from collections.abc import Callable

import msgspec
import pytest

from pmstream.core.failure import Stage
from pmstream.core.instance import Instance, Status, Wait, Work, dump_instance
from pmstream.core.messages import Routed
from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import instance_key
from tests.cli.conftest import APP, Pmstream

PM = "transfer-money"
EVENT = "bank.transfers-0-4"
PARKED = Instance(
    status=Status.RUNNING,
    state=msgspec.msgpack.encode({}),
    work=Work(
        input=Routed(
            process_uuid="a",
            route="start",
            value=b"",
            topic="bank.transfers",
            partition=0,
            offset=4,
            index=0,
            timestamp=0,
            headers=(),
        ),
        stage=Stage.HANDLE,
        wait=Wait.OPERATOR,
        first_failed_at=1_600_000_000_000,
        error_type="ValueError",
        error_text="no such account",
    ),
)


@pytest.fixture
def routed_up_to(bank: MemoryLog) -> Callable[[int], None]:
    """Moves the router's position; the inbox is empty."""

    def move(position: int) -> None:
        place = TopicPartition("bank.transfers", 0)
        bank.set_positions(f"bank.{PM}.router", {place: Committed(position)})

    return move


@pytest.fixture
def events(bank: MemoryLog) -> None:
    """Five of them."""
    writer = bank.writer()
    for number in range(5):
        writer.produce("bank.transfers", b"%d" % number, partition=0)
    writer.flush(1)


def test_handled_is_exit_code_0(
    pmstream: Pmstream, events: None, routed_up_to: Callable[[int], None]
) -> None:
    routed_up_to(5)

    table = pmstream("wait", APP, "--event", EVENT, "--pm", PM)
    rows = json.loads(pmstream("wait", APP, "--event", EVENT, "--pm", PM, "-o", "json").stdout)

    assert table.exit_code == 0, table.output
    assert [PM, "handled"] in [line.split() for line in table.stdout.splitlines()]
    assert rows == [{"process_manager": PM, "verdict": "handled", "why": "", "deferred": []}]


def test_a_timeout_is_exit_code_1_and_tells_what_is_still_to_come(
    pmstream: Pmstream, events: None, routed_up_to: Callable[[int], None]
) -> None:
    routed_up_to(4)

    result = pmstream("wait", APP, "--event", EVENT, "--pm", PM, "--timeout", "0")

    assert result.exit_code == 1
    assert "timeout" in result.stdout
    assert "group bank.transfer-money.router is at 4 of bank.transfers-0" in result.stdout


def test_deferred_is_exit_code_1_and_tells_who_and_since_when(
    pmstream: Pmstream, bank: MemoryLog, events: None, routed_up_to: Callable[[int], None]
) -> None:
    routed_up_to(5)
    writer = bank.writer()
    partition = murmur2_partition(b"a", 3)
    key, value = instance_key("a"), dump_instance(PARKED)
    writer.produce(f"bank.{PM}.changelog", value, key, partition=partition)
    writer.flush(1)
    line = ("wait", APP, "--event", EVENT, "--pm", PM)

    table, found = pmstream(*line, "--explain"), pmstream(*line, "--explain", "-o", "json")

    assert pmstream(*line).exit_code == 0
    assert table.exit_code == found.exit_code == 1
    assert "ValueError: no such account" in table.stdout
    assert json.loads(found.stdout)[0]["deferred"] == [
        {
            "uuid": "a",
            "how": "parked",
            "since": "2020-09-13T12:26:40.000+00:00",
            "error": "ValueError: no such account",
            "partition": partition,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            (),
            'no process manager of bank has consistency="strong": name those to wait for by --pm',
        ),
        (("--pm", "nobody"), "app bank has no process manager 'nobody'; it has transfer-money"),
    ],
)
def test_nobody_to_wait_for_is_exit_code_2(
    pmstream: Pmstream, bank: MemoryLog, arguments: tuple[str, ...], text: str
) -> None:
    result = pmstream("wait", APP, "--event", EVENT, *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
    assert PM in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_an_event_that_is_none_is_exit_code_2(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("wait", APP, "--event", "17", "--pm", PM)

    assert result.exit_code == 2
    assert result.stderr.startswith("pmstream: event is '17'; it is topic-partition-offset")
