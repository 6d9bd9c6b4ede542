"""`pmstream topics`: makes what is missing, tells what differs, asks before past events count."""

import json
from pathlib import Path

import pytest

from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import APP, Pmstream

INBOX, CHANGELOG = "bank.transfer-money.inbox", "bank.transfer-money.changelog"
REQUESTED = '{"transfer_uuid": "a", "debit_account": "1", "credit_account": "2", "amount": 3}'


def theirs(log: MemoryLog) -> None:
    topics = ("bank.transfers", "bank.accounts", "bank.account-commands")
    log.create_topics([TopicSpec(topic, 3) for topic in topics])


def test_ensure_makes_ours_and_says_so(pmstream: Pmstream, log: MemoryLog) -> None:
    theirs(log)

    result = pmstream("topics", "ensure", APP)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "+ bank.transfer-money.inbox (3 partitions)",
        "+ bank.transfer-money.changelog (3 partitions)",
        "+ bank.transfer-money.orders (3 partitions)",
        "+ bank.transfer-money.dead-letters (3 partitions)",
        "+ transfer-money starts in bank.transfers at origin",
        "+ transfer-money starts in bank.accounts at origin",
        "topics of bank: all there",
    ]


def test_ensure_again_has_nothing_to_do(pmstream: Pmstream, bank: MemoryLog) -> None:
    assert pmstream("topics", "ensure", APP).stdout == "topics of bank: all there\n"
    assert pmstream("topics", "check", APP).stdout == "topics of bank: all there\n"


def test_ensure_does_nothing_when_a_source_is_missing(pmstream: Pmstream, log: MemoryLog) -> None:
    result = pmstream("topics", "ensure", APP)

    assert result.exit_code == 1
    assert "source topic bank.transfers does not exist" in result.stderr
    assert log.topics() == {}


def test_past_events_are_counted_and_need_a_yes(pmstream: Pmstream, log: MemoryLog) -> None:
    theirs(log)
    produced = pmstream(
        "produce", APP, "bank.transfers", "--type", "MoneyTransferRequested", "--json", REQUESTED
    )
    assert produced.exit_code == 0

    asked = pmstream("topics", "ensure", APP)
    told = pmstream("topics", "ensure", APP, "--yes")

    assert asked.exit_code == 2
    assert "1 past events would be handled and nobody can be asked" in asked.stderr
    assert told.exit_code == 0
    assert "transfer-money starts in bank.transfers at origin: 1 past events" in told.stdout


def test_a_difference_is_a_diff_and_exit_code_1(pmstream: Pmstream, log: MemoryLog) -> None:
    theirs(log)
    log.create_topics([TopicSpec(INBOX, 3, {"retention.ms": "5", "retention.bytes": "-1"})])

    result = pmstream("topics", "ensure", APP)

    assert result.exit_code == 1
    assert f"{INBOX}\n" in result.stdout
    assert "  - retention.ms=5\n  + retention.ms=-1\n" in result.stdout
    assert log.config(INBOX)["retention.ms"] == "5"


@pytest.mark.parametrize("command", ["ensure", "check"])
def test_unequal_partition_counts_are_told(
    pmstream: Pmstream, log: MemoryLog, command: str
) -> None:
    theirs(log)
    log.create_topics([TopicSpec(INBOX, 3), TopicSpec(CHANGELOG, 4)])

    result = pmstream("topics", command, APP)

    assert result.exit_code == 1
    assert f"{INBOX} has 3 partitions but {CHANGELOG} has 4" in result.stderr


def test_check_tells_what_is_missing(pmstream: Pmstream, log: MemoryLog) -> None:
    theirs(log)

    result = pmstream("topics", "check", APP, "-o", "json")

    assert result.exit_code == 1
    found = [(each["finding"], each["topic"]) for each in json.loads(result.stdout)]
    assert found == [
        ("missing", INBOX),
        ("missing", CHANGELOG),
        ("missing", "bank.transfer-money.orders"),
        ("missing", "bank.transfer-money.dead-letters"),
        ("no-start", "bank.transfers"),
        ("no-start", "bank.accounts"),
    ]


def test_expired_positions_are_told_with_a_remedy_that_works(
    pmstream: Pmstream, bank: MemoryLog
) -> None:
    writer = bank.writer()
    writer.produce(INBOX, b"x", b"a", partition=0)
    writer.flush(1)
    places = [TopicPartition(t, n) for t in ("bank.transfers", "bank.accounts") for n in range(3)]
    bank.forget_positions("bank.transfer-money.router", places)

    refused = pmstream("topics", "ensure", APP)
    done = pmstream("topics", "ensure", APP, "--restart-expired")

    assert refused.exit_code == 1
    assert "pmstream topics ensure --restart-expired" in refused.stderr
    assert done.exit_code == 0


def test_list_shows_every_topic(pmstream: Pmstream, log: MemoryLog) -> None:
    theirs(log)

    result = pmstream("topics", "list", APP, "-o", "json")

    rows = {row["topic"]: row for row in json.loads(result.stdout)}
    assert rows["bank.transfers"] == {
        "topic": "bank.transfers",
        "role": "source",
        "process manager": None,
        "partitions": 3,
        "offsets": 0,
    }
    assert rows[INBOX]["partitions"] == "missing"
    assert pmstream("topics", "list", APP).stdout.splitlines()[0].split() == [
        *["topic", "role", "process", "manager", "partitions", "offsets"]
    ]


LATE = """
from pmstream import App
from pmstream.examples.transfer import TransferMoney, app

late = App(
    name="bank", schemas=app.schemas, events=app.events, commands=app.commands,
    process_managers=[TransferMoney(start_from={"bank.transfers": {0: 1}})],
)
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_an_offset_that_is_not_there_is_refused_and_sets_no_position(
    pmstream: Pmstream, log: MemoryLog, folder: Path, is_there: bool
) -> None:
    (folder / "late.py").write_text(LATE)
    if is_there:
        theirs(log)

    result = pmstream("topics", "ensure", "late:late", "--create-missing")

    assert result.exit_code == 1
    assert "offset 1 of bank.transfers-0, which is not written yet: it is from 0 to 0" in (
        result.stderr
    )
    places = [TopicPartition("bank.accounts", number) for number in range(3)]
    assert not log.last_committed("bank.transfer-money.router", places)
