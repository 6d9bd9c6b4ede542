"""`pmstream replay`: in the shadow, and events delivered again."""

import json
from pathlib import Path

import pytest

from pmstream.config import Settings
from pmstream.core.instance import Instance, Status, dump_instance
from pmstream.examples.messages import MoneyTransferRequested, MoneyWithdrawn
from pmstream.examples.transfer import app
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from pmstream.runtime.store import instance_key
from tests.cli.conftest import APP, Pmstream

PM = "transfer-money"
TRANSFERS, ACCOUNTS = "bank.transfers", "bank.accounts"


@pytest.fixture
def lived(bank: MemoryLog, folder: Path) -> MemoryLog:
    """Three transfers, one of them half-way, all handled; nobody runs any more."""
    codec, writer = Codec(app), bank.writer()
    settings, clock = Settings(state_dir=folder), bank._broker.clock
    workers = [
        make_worker(app, PM, role, f"{role}-0", bank, settings, clock)
        for role in (ROUTER, INSTANCES)
    ]
    asked = [MoneyTransferRequested(f"t-{n}", "from", "to", 7) for n in range(3)]
    for topic, events in ((TRANSFERS, asked), (ACCOUNTS, [MoneyWithdrawn("t-1", "from", 7)])):
        for event in events:
            writer.produce(topic, codec.encode_event(topic, event), b"k", partition=0)
        writer.flush(1)
        for _ in range(200):
            for worker in workers:
                worker.turn()
    for worker in workers:
        worker.close()
    clock.sleep(60)  # until static members count as gone
    return bank


def test_the_same_code_is_exit_code_0(pmstream: Pmstream, lived: MemoryLog) -> None:
    result = pmstream("replay", APP, PM, "--shadow")

    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "transfer-money: 4 records replayed; 0 of 3 instances would stand elsewhere; "
        "4 commands the same, 0 gone, 0 new, 0 altered\n"
    )
    assert "nothing is written" in result.stderr


def test_what_would_differ_is_exit_code_1_with_its_process(
    pmstream: Pmstream, lived: MemoryLog
) -> None:
    odd = dump_instance(Instance(status=Status.RUNNING, state=b"\x80"))
    writer = lived.writer()
    place = murmur2_partition(b"t-9", 3)
    writer.produce(f"bank.{PM}.changelog", odd, instance_key("t-9"), partition=place)
    writer.flush(1)

    table = pmstream("replay", APP, PM, "--shadow")
    found = json.loads(pmstream("replay", APP, PM, "--shadow", "-o", "json").stdout)

    assert table.exit_code == 1
    assert table.stdout.splitlines()[-1].split()[:2] == ["t-9", "idle"]
    assert [each["uuid"] for each in found["changed"]] == ["t-9"]
    assert found["changed"][0]["shadow"] is None


def positions(log: MemoryLog) -> dict[str, int]:
    places = [TopicPartition(topic, n) for topic in (TRANSFERS, ACCOUNTS) for n in range(3)]
    known = log.last_committed(f"bank.{PM}.router", places)
    return {f"{t}-{p}": each.position for (t, p), each in known.items()}


def test_without_yes_nothing_moves(pmstream: Pmstream, lived: MemoryLog) -> None:
    before = positions(lived)

    result = pmstream("replay", APP, PM, "--from", "origin", "-o", "json")

    assert result.exit_code == 0
    rows = {row["partition"]: row for row in json.loads(result.stdout)}
    assert rows["bank.transfers-0"]["would stand at"] == 0
    assert rows["bank.transfers-0"]["stands at"] == before["bank.transfers-0"]
    assert "nothing was moved: --yes does it" in result.stderr
    assert positions(lived) == before


@pytest.mark.parametrize(
    ("where", "moved"),
    [
        (["origin"], {"bank.transfers-0": 0, "bank.accounts-0": 0}),
        (["bank.transfers:0:1"], {"bank.transfers-0": 1}),
        (["2000-01-01T00:00+00:00"], {"bank.transfers-0": 0, "bank.accounts-0": 0}),
    ],
)
def test_with_yes_it_moves_what_was_named(
    pmstream: Pmstream, lived: MemoryLog, where: list[str], moved: dict[str, int]
) -> None:
    before = positions(lived)
    options = [word for each in where for word in ("--from", each)]

    assert pmstream("replay", APP, PM, *options, "--yes").exit_code == 0

    assert positions(lived) == before | moved


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "say one of --shadow, --rebuild, --roll-back, --abandon; or where"),
        (["--shadow", "--from", "origin"], 2, "say one of --shadow"),
        (["--from", "soon"], 2, "--from soon: write origin, current, 2026-01-31"),
        (["--from", "origin", "--from", "current"], 2, "--from origin current: write"),
        (["--from", "2026-01-01T00:00"], 2, "has no time zone: add +00:00 for UTC"),
        (["--from", "nowhere:0:1"], 2, "nowhere: no such source topic; those are bank.transfers"),
        (["--from", "bank.transfers:0:99"], 1, "which is not written yet"),
        (["--from", "bank.transfers:7:0"], 1, "which has 3 (0 to 2)"),
    ],
)
def test_what_makes_no_sense_is_refused(
    pmstream: Pmstream, lived: MemoryLog, arguments: list[str], code: int, said: str
) -> None:
    result = pmstream("replay", APP, PM, *arguments)

    assert result.exit_code == code
    assert said in " ".join(result.stderr.split())


def test_while_routers_run_nothing_is_moved(pmstream: Pmstream, lived: MemoryLog) -> None:
    member = lived.consumer(f"bank.{PM}.router", "router-0")
    member.subscribe([TRANSFERS], _Deaf())
    member.gather(1, 0.1)

    result = pmstream("replay", APP, PM, "--from", "origin", "--yes")

    assert result.exit_code == 75
    assert "can only be set while no worker of it runs" in result.stderr


class _Deaf:
    """A listener."""

    def assigned(self, partitions: object) -> None: ...

    def revoked(self, partitions: object) -> None: ...

    def lost(self, partitions: object) -> None: ...

    def fault(self, fault: object) -> None: ...
