"""`pmstream replay --rebuild`: told first, then done; given up, or gone back on."""

import json

import pytest

from pmstream.config import Settings
from pmstream.examples.messages import MoneyWithdrawn
from pmstream.examples.transfer import app
from pmstream.operate import generations
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.generations import live, read_state
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from tests.cli.conftest import APP, Pmstream
from tests.cli.test_replay import ACCOUNTS, PM, lived

__all__ = ["lived"]


def test_without_yes_it_tells_what_it_would_do(pmstream: Pmstream, lived: MemoryLog) -> None:
    result = pmstream("replay", APP, PM, "--rebuild")

    assert result.exit_code == 0, result.output
    assert "would make generation 2 of transfer-money from 4 offsets" in result.stderr
    assert "beside generation 1 (3 instances), which stays; about 0 s" in result.stderr
    assert "nothing was done: --yes does it" in result.stderr
    assert result.stdout.split() == [
        "partition",
        "from",
        "until",
        "bank.accounts-0",
        "0",
        "1",
        "bank.transfers-0",
        "0",
        "3",
    ]
    assert read_state(lived, "bank", PM).used == 1


def test_with_yes_the_new_generation_is_live(pmstream: Pmstream, lived: MemoryLog) -> None:
    result = pmstream("replay", APP, PM, "--rebuild", "--yes")

    assert result.exit_code == 0, result.output
    last = "transfer-money: generation 2 has 3 instances; 0 stand elsewhere than before"
    assert result.stdout.splitlines()[-1] == last
    assert "generation 2 is live: start the workers" in result.stderr
    assert live(lived, "bank", PM).generation == 2
    shown = pmstream("instances", "list", APP, PM, "-o", "json")
    assert {each["uuid"] for each in json.loads(shown.stdout)} == {"t-0", "t-1", "t-2"}
    assert pmstream("topics", "check", APP).exit_code == 0


def test_what_forbids_it_is_listed_and_exit_code_1(pmstream: Pmstream, lived: MemoryLog) -> None:
    from pmstream.runtime.log import TopicPartition

    lived.delete_records({TopicPartition("bank.transfers", 0): 2})
    result = pmstream("replay", APP, PM, "--rebuild", "--yes")
    assert result.exit_code == 1
    assert "bank.transfers-0 starts at 2: what stood before is not retained" in result.stderr
    assert pmstream("replay", APP, PM, "--rebuild", "--from", "bank.transfers:0:2").exit_code == 0


def test_it_can_be_gone_back_on(pmstream: Pmstream, lived: MemoryLog) -> None:
    assert pmstream("replay", APP, PM, "--roll-back", "--yes").exit_code == 2  # to what?
    pmstream("replay", APP, PM, "--rebuild", "--yes")
    look = pmstream("replay", APP, PM, "--roll-back")
    assert "would close generation 2 of transfer-money and go on with generation 1" in look.stderr
    assert live(lived, "bank", PM).generation == 2
    result = pmstream("replay", APP, PM, "--roll-back", "--yes")
    assert result.exit_code == 0, result.output
    assert live(lived, "bank", PM).generation == 1


def test_commands_that_would_be_sent_again_need_a_word(
    pmstream: Pmstream, lived: MemoryLog, tmp_path: object
) -> None:
    pmstream("replay", APP, PM, "--rebuild", "--yes")
    run(lived, MoneyWithdrawn("t-2", "from", 7))
    result = pmstream("replay", APP, PM, "--roll-back", "--yes")
    assert result.exit_code == 2
    assert "--send-again goes back all the same" in result.stderr
    assert pmstream("replay", APP, PM, "--roll-back", "--yes", "--send-again").exit_code == 0


def test_one_that_is_not_done_can_be_given_up(pmstream: Pmstream, lived: MemoryLog) -> None:
    assert pmstream("replay", APP, PM, "--abandon", "--yes").exit_code == 2  # which?
    generations.begin(
        lived,
        app,
        PM,
        "rebuild",
        partitions=3,
        own_feeds=False,
        settings=Settings.load(),
        clock=SystemClock(),
    )
    told = pmstream("status", APP)
    assert told.exit_code == 1
    assert "a rebuild is under way, or was left half-way: workers wait" in told.stdout
    assert f"replay {APP} {PM} --rebuild" in told.stdout
    redelivered = pmstream("replay", APP, PM, "--from", "origin", "--yes")
    assert redelivered.exit_code == 75
    assert "a rebuild makes generation 2" in redelivered.stderr
    assert "would give up the rebuild" in pmstream("replay", APP, PM, "--abandon").stderr
    assert pmstream("replay", APP, PM, "--abandon", "--yes").exit_code == 0
    assert read_state(lived, "bank", PM).change is None


@pytest.mark.parametrize(
    "arguments", [["--rebuild", "--shadow"], ["--roll-back", "--from", "origin"], []]
)
def test_one_thing_at_a_time(pmstream: Pmstream, lived: MemoryLog, arguments: list[str]) -> None:
    result = pmstream("replay", APP, PM, *arguments)
    assert result.exit_code == 2
    assert "say one of --shadow, --rebuild, --roll-back, --abandon" in result.stderr


def run(log: MemoryLog, event: MoneyWithdrawn) -> None:
    """Workers of the live generation handle one event, and end."""
    settings, clock = Settings.load(), log._broker.clock
    log.writer().produce(ACCOUNTS, Codec(app).encode_event(ACCOUNTS, event), b"k", partition=0)
    workers = [
        make_worker(app, PM, role, f"{role}-0", log, settings, clock)
        for role in (ROUTER, INSTANCES)
    ]
    for _ in range(300):
        for worker in workers:
            worker.turn()
    for worker in workers:
        worker.close()
    clock.sleep(60)
