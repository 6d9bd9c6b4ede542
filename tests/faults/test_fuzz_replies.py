"""Malformed replies: thousands of them, and not one crash, wrong instance or early command."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.core.messages import ACCEPTED, COMMAND_ID, OUTCOME, REJECTED
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Headers, Record
from pmstream.runtime.memory import MemoryLog
from tests.runtime.clocked import ClockedWorld, asked, make_app

RECORDS = 10_000
PER_ROUND = 50


@pytest.fixture
def confirming(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[ClockedWorld]:
    """A world whose commands wait for replies, for a long time."""
    app = make_app(dispatch="confirm", confirm_timeout=86_400)
    made = ClockedWorld(log, tmp_path, clock, app=app)
    made.start_all()
    yield made
    made.close()


def hostile(
    dice: random.Random, asked: Record
) -> tuple[bytes | None, bytes | None, Headers, int | None]:
    """Key, value, headers and partition of a reply that is none to what is awaited."""
    mine = dict(asked.headers)
    id, key = mine[COMMAND_ID] or b"", mine["process-uuid"]
    ids = [None, b"", b"\xff\xfe", id + b"~1", id[:-1], id.swapcase(), b"x" * 5_000, b"0"]
    keys = [None, b"", b"\xff\xfe", b"a\0b", b"k" * 300, b"somebody else", key]
    outcomes = [None, b"", b"ACCEPTED", b"\xff", b"accepted ", b"maybe", ACCEPTED, REJECTED]
    values = [None, b"", b"{", b"\xff\xfe", b"[" * 2_000, b'"' + b"x" * 9_000 + b'"', b"null"]
    chosen, who = dice.choice(ids), dice.choice(keys)
    outcome = dice.choice(outcomes)
    if dice.random() < 0.2:  # the awaited id, for another process or with no outcome
        chosen = id
        if who == key:
            outcome = dice.choice(outcomes[:-2])
    given: list[tuple[str, bytes | None]] = [(COMMAND_ID, chosen), (OUTCOME, outcome)]
    given += [("x" * dice.randrange(300), dice.randbytes(20)) for _ in range(dice.randrange(3))]
    dice.shuffle(given)
    headers = tuple(given[: dice.choice([len(given), len(given), 1, 0])])
    return who, dice.choice(values), headers, dice.choice([None, 0, 1, 2])


def test_f43_m_damaged_and_foreign_replies(confirming: ClockedWorld) -> None:
    """None of them is taken for the reply; the right one still is, at the end."""
    dice, names = random.Random(47), confirming.names
    for each in "abc":
        confirming.count(each, [0, 1])
    confirming.settle()
    commands = confirming.asked()
    assert len(commands) == 3
    writer = confirming.log.writer()
    for _ in range(RECORDS // PER_ROUND):
        for _ in range(PER_ROUND):
            key, value, headers, partition = hostile(dice, dice.choice(commands))
            writer.produce(names.replies, value, key, headers, partition)
        writer.flush(1)
        confirming.turn()
    confirming.settle()
    assert len(confirming.asked()) == 3, "nobody's second command went out"
    for record in commands:
        confirming.reply(record)
    confirming.settle()
    assert sorted((command.process, command.n) for command in confirming.commands()) == [
        (process, n) for process in "abc" for n in (0, 1)
    ]
    assert confirming.stores() == confirming.changelog()


@pytest.mark.parametrize(
    "reason",
    [
        *(b"[" * depth + b"]" * depth for depth in (50, 500, 900, 930, 960, 990, 5_000)),
        b'{"x":' * 970 + b"1" + b"}" * 970,
        b"1" * 4_000,
        b"-123456789012345678901234567890",
        b"1e308",
        b"NaN",
        b"[1, \xff]",
        b'"' + b"x" * 1_000_000 + b'"',
        b"[" + b"0," * 400_000 + b"0]",
        b'{"": null, "": {}}',
    ],
    ids=lambda reason: f"{reason[:8]!r}-{len(reason)}",
)
def test_a_rejection_for_a_hostile_reason_is_a_rejection(
    confirming: ClockedWorld, reason: bytes
) -> None:
    confirming.count("a", [0])
    confirming.settle(asked(confirming, 1))
    (record,) = confirming.asked()
    mine = dict(record.headers)
    answer: Headers = ((COMMAND_ID, mine[COMMAND_ID]), (OUTCOME, REJECTED))
    writer = confirming.log.writer()
    number = int(mine["reply-partition"] or b"0")
    writer.produce(confirming.names.replies, reason, mine["process-uuid"], answer, number)
    writer.flush(1)

    confirming.count("a", [1])
    confirming.settle(asked(confirming, 2))

    assert confirming.stores() == confirming.changelog()
