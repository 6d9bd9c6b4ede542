"""`pmstream produce` and `consume`: what goes in by schema comes out by schema."""

import json
from pathlib import Path

import pytest

from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import APP, Pmstream
from tests.runtime.tracing.otlp import receiving

TOPIC = "bank.transfers"
ONE = {
    "transfer_uuid": "a",
    "debit_account": "1",
    "credit_account": "2",
    "amount": 3,
    "reference": "rent",
}
TYPE = ("--type", "MoneyTransferRequested")


def consumed(pmstream: Pmstream, topic: str, *options: str) -> list[dict[str, object]]:
    result = pmstream("consume", APP, topic, "-o", "json", *options)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_what_is_produced_is_consumed(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("produce", APP, TOPIC, *TYPE, "--json", json.dumps(ONE))

    assert result.stdout == "1 message written into bank.transfers\n"
    [row] = consumed(pmstream, TOPIC)
    assert row["value"] == ONE
    assert row["type"] == "MoneyTransferRequested"
    assert row["key"] is None
    assert row["headers"] == {}


def test_lines_of_a_file_or_of_standard_input(
    pmstream: Pmstream, bank: MemoryLog, folder: Path
) -> None:
    lines = "\n".join(json.dumps(ONE | {"amount": number}) for number in range(3)) + "\n\n"
    (folder / "some.ndjson").write_text(lines)

    by_file = pmstream("produce", APP, TOPIC, *TYPE, "--file", "some.ndjson", "--rate", "1000")
    by_input = pmstream("produce", APP, TOPIC, *TYPE, "--file", "-", input=lines)

    assert by_file.stdout == by_input.stdout == "3 messages written into bank.transfers\n"
    assert len(consumed(pmstream, TOPIC)) == 6


def test_a_key_is_a_field_and_a_command_has_one(pmstream: Pmstream, bank: MemoryLog) -> None:
    command = {"account_number": "77", "transfer_uuid": "a", "amount": 3}
    text = json.dumps(command)
    pmstream("produce", APP, TOPIC, *TYPE, "--json", json.dumps(ONE), "--key", "debit_account")
    pmstream("produce", APP, "bank.account-commands", "--type", "bank.DepositMoney", "--json", text)

    assert consumed(pmstream, TOPIC)[0]["key"] == "1"
    assert consumed(pmstream, "bank.account-commands")[0]["key"] == "77"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("x.y", *TYPE, "--json", "{}"), "app bank declares no topic 'x.y'; it has bank.transfers"),
        (
            (TOPIC, "--type", "Nothing", "--json", "{}"),
            "topic bank.transfers has no type 'Nothing'",
        ),
        ((TOPIC, *TYPE, "--json", "{"), "message 1: it is no MoneyTransferRequested: Input data"),
        ((TOPIC, *TYPE, "--json", "3"), "message 1: it is no MoneyTransferRequested: Expected"),
        ((TOPIC, *TYPE, "--json", json.dumps(ONE | {"amount": "3"})), "message 1: it is no Money"),
        ((TOPIC, *TYPE, "--json", json.dumps(ONE | {"odd": 1})), "message 1: it is no Money"),
        ((TOPIC, *TYPE, "--json", "{}", "--key", "odd"), "MoneyTransferRequested has no field"),
        ((TOPIC, *TYPE), "give the messages by --json or by --file, one of the two"),
        ((TOPIC, *TYPE, "--file", "gone"), "--file gone cannot be read: No such file"),
    ],
)
def test_what_cannot_be_produced_is_one_sentence(
    pmstream: Pmstream, bank: MemoryLog, arguments: tuple[str, ...], text: str
) -> None:
    result = pmstream("produce", APP, *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
    assert len(result.stderr.splitlines()) == 1


def test_a_bad_line_tells_its_number_and_what_is_written(
    pmstream: Pmstream, bank: MemoryLog
) -> None:
    lines = f"{json.dumps(ONE)}\n{json.dumps(ONE)}\noops\n"

    result = pmstream("produce", APP, TOPIC, *TYPE, "--file", "-", input=lines)

    assert result.exit_code == 2
    assert "message 3: " in result.stderr
    assert "(2 before it are written)" in result.stderr
    assert len(consumed(pmstream, TOPIC)) == 2


@pytest.mark.parametrize("command", ["produce", "consume"])
def test_a_topic_that_is_not_there_yet(pmstream: Pmstream, log: MemoryLog, command: str) -> None:
    more = (*TYPE, "--json", json.dumps(ONE)) if command == "produce" else ()

    result = pmstream(command, APP, TOPIC, *more)

    assert result.exit_code == 2
    assert "the cluster does not have topic bank.transfers: run `pmstream topics" in result.stderr


def test_consume_begins_where_it_is_told(pmstream: Pmstream, bank: MemoryLog) -> None:
    lines = "\n".join(json.dumps(ONE) for _ in range(5))
    pmstream("produce", APP, TOPIC, *TYPE, "--file", "-", "--key", "debit_account", input=lines)
    partition = consumed(pmstream, TOPIC)[0]["partition"]

    assert [row["offset"] for row in consumed(pmstream, TOPIC, "--from", f"{partition}:3")] == [
        3,
        4,
    ]
    assert consumed(pmstream, TOPIC, "--from", "current") == []
    assert len(consumed(pmstream, TOPIC, "--limit", "2")) == 2
    assert len(consumed(pmstream, TOPIC, "--follow", "--limit", "5")) == 5


@pytest.mark.parametrize(
    ("since", "text"),
    [
        ("yesterday", "--from is 'yesterday'; it is origin, current or partition:offset"),
        ("3:0", "--from 3:0: the topic has partitions 0 to 2"),
        ("0:9", "--from 0:9: partition 0 has offsets 0 to 0"),
    ],
)
def test_consume_cannot_begin_there(
    pmstream: Pmstream, bank: MemoryLog, since: str, text: str
) -> None:
    result = pmstream("consume", APP, TOPIC, "--from", since)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")


def test_a_record_that_cannot_be_decoded_is_shown_and_told(
    pmstream: Pmstream, bank: MemoryLog
) -> None:
    writer = bank.writer()
    writer.produce(TOPIC, b"\x00\xff", b"k", (("h", b"\xfe"),), partition=0)
    writer.produce(TOPIC, None, b"k", partition=0)
    writer.flush(1)

    result = pmstream("consume", APP, TOPIC, "-o", "json")

    bad, deleted = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.exit_code == 1
    assert result.stderr == "pmstream: 1 record of bank.transfers cannot be decoded\n"
    assert "its format is not avro" in bad["error"]
    assert bad["raw"] == "0x00ff"
    assert bad["headers"] == {"h": "0xfe"}
    assert deleted["value"] is None


def test_lines_for_people(pmstream: Pmstream, bank: MemoryLog) -> None:
    pmstream("produce", APP, TOPIC, *TYPE, "--json", json.dumps(ONE), "--key", "debit_account")

    [line] = pmstream("consume", APP, TOPIC).stdout.splitlines()

    assert line.endswith(f"  1  MoneyTransferRequested  {json.dumps(ONE)}")


def test_records_of_our_own_topics_are_shown(pmstream: Pmstream, bank: MemoryLog) -> None:
    pmstream("produce", APP, TOPIC, *TYPE, "--json", json.dumps(ONE))
    [record] = bank_records(bank)
    writer = bank.writer()
    dead = "bank.transfer-money.dead-letters"
    writer.produce(dead, record, b"k", (("pm-source", b"bank.transfers-0-0"),), partition=0)
    writer.produce(dead, b"junk", b"k", (("pm-source", b"bank.transfers-0-1"),), partition=0)
    writer.flush(1)

    readable, junk = consumed(pmstream, dead)

    assert readable["value"] == ONE
    assert junk["raw"] == "junk"


def bank_records(log: MemoryLog) -> list[bytes | None]:
    from pmstream.operate.bounds import bounds
    from pmstream.operate.reading import read_once

    found = read_once(log, bounds(log, log.topics()[TOPIC]))
    return [record.value for records in found for record in records]


def test_a_trace_begins_with_each_message_if_tracing_is_on(
    pmstream: Pmstream, bank: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        monkeypatch.setenv("PMSTREAM_TRACING", "on")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        for _ in range(2):
            pmstream("produce", APP, TOPIC, *TYPE, "--json", json.dumps(ONE))

    sent = {f"00-{each.trace_id.hex()}-{each.span_id.hex()}-01" for each in receiver.spans}
    rows = consumed(pmstream, TOPIC)
    assert {each.name for each in receiver.spans} == {"send bank.transfers"}
    assert {str(dict(row["headers"])["traceparent"]) for row in rows} == sent  # type: ignore[call-overload]
    assert len(sent) == 2
