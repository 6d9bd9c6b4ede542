"""Malformed input: thousands of damaged records, and not one crash or wrong instance."""

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pmstream.core.engine import Routing
from pmstream.core.routing import Route
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.inbox import HEADER, inbox_headers
from pmstream.runtime.log import Headers, Record
from pmstream.runtime.memory import MemoryLog
from tests.faults.kit import expected
from tests.runtime.world import Happened, World

RECORDS = 10_000
PER_ROUND = 20


@pytest.fixture
def good(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """A world whose breaker sees good records between the bad ones."""
    made = World(log, tmp_path, clock)
    made.start_all()
    yield made
    made.close()


def damaged(dice: random.Random, value: bytes) -> bytes | None:
    """Bytes changed, lost, or put between; nothing at all; or noise."""
    kind = dice.randrange(6)
    if kind == 0:
        return None
    if kind == 1:
        return dice.randbytes(dice.randrange(60))
    content = bytearray(value)
    at = dice.randrange(len(content))
    if kind == 2:
        content[at] ^= 1 << dice.randrange(8)
    elif kind == 3:
        del content[at:]
    elif kind == 4:
        content[at:at] = dice.randbytes(dice.randrange(1, 9))
    else:
        content[10:] = dice.randbytes(dice.randrange(60))
    return bytes(content)


NAMES = [HEADER, "pm-x", "traceparent", "correlation-id", "event-id", "", "x" * 300, "ü"]


def headers(dice: random.Random) -> Headers:
    values = [None, b"", b"\xff\xfe", b"x" * 2_000]
    return tuple((dice.choice(NAMES), dice.choice(values)) for _ in range(dice.randrange(4)))


def test_f43_m_damaged_source_records_and_headers(
    good: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What can be decoded all the same is an event like any other; the rest is a dead letter."""
    monkeypatch.setattr("pmstream.runtime.intake.BREAKER_SHARE", 2)
    monkeypatch.setattr("pmstream.runtime.intake.BREAKER_RUN", RECORDS)
    dice = random.Random(43)
    value = good.codec.encode_event(good.source, Happened(process="p", what="go", n=1))
    writer = good.log.writer()
    for n in range(RECORDS // PER_ROUND):
        for _ in range(PER_ROUND):
            key = dice.choice([None, b"", b"\xff", b"key"])
            writer.produce(good.source, damaged(dice, value), key, headers(dice), partition=1)
        good.count("a", range(n * 20, n * 20 + 20))
        good.turn()
    writer.flush(1)
    last = Happened(process="end", what="go", n=0)
    good.produce(last)
    good.settle(lambda: bool(good.counts("end")), 500)
    assert len(good.read(good.names.dead_letters)) > RECORDS // 2
    assert good.counts("a") == expected(RECORDS)


def fields(dice: random.Random) -> list[object]:
    """A routing header's fields, most of them right."""
    odd: list[object] = [None, -1, 2**63, 2**64 - 1, 1.5, "", "x" * 300, b"\xff", [], {}, True]
    right: list[object] = [
        Route.START,
        "world.elsewhere",
        0,
        dice.randrange(9),
        0,
        0,
        "owner",
        False,
        0,
    ]
    for _ in range(dice.randrange(1, 4)):
        right[dice.randrange(len(right))] = dice.choice(odd)
    return right[: dice.choice([9, 9, 9, 8, 7, 3])]


def forged(dice: random.Random, model: Record) -> tuple[bytes | None, bytes | None, Headers]:
    """Key, value and headers of an inbox record that no router wrote."""
    keys = [None, b"", b"\xff\xfe", b"a\0b", b"k" * 300, b"other", model.key]
    value = damaged(dice, model.value or b"")
    kind = dice.randrange(4)
    if kind == 0:
        return dice.choice(keys), value, headers(dice)
    if kind == 1 and dice.random() < 0.1:
        deep = msgspec.msgpack.encode(fields(dice))[1:] + b"\x91" * 5_000 + b"\x01"
        return dice.choice(keys), value, ((HEADER, b"\x9a" + deep), *headers(dice))
    if kind == 1:
        header = damaged(dice, model.headers[0][1] or b"")
        return dice.choice(keys), value, ((HEADER, header), *headers(dice))
    header = msgspec.msgpack.encode(fields(dice))
    return dice.choice(keys[:-1]), value, ((HEADER, header), *headers(dice))


def test_f43_m_damaged_inbox_records(good: World) -> None:
    dice = random.Random(44)
    event = Record("world.elsewhere", 3, 0, 0, b"k", b"value")
    header = inbox_headers(event, Routing(Route.START), 0, "owner")
    value = good.codec.encode_event(good.source, Happened(process="p", what="go", n=1))
    model = Record(good.names.inbox, 0, 0, 0, b"model", value, header)
    writer = good.log.writer()
    for n in range(RECORDS // PER_ROUND):
        for _ in range(PER_ROUND):
            writer.produce(good.names.inbox, *_swapped(forged(dice, model)))
        good.count("a", [n])
        good.turn()
    writer.flush(1)
    good.settle()
    assert good.counts("a") == expected(RECORDS // PER_ROUND)
    assert good.read(good.names.dead_letters)
    assert good.stores() == good.changelog()
    assert all(b"\0" not in key for key in good.changelog() if key[:1] == b"i")


def _swapped(
    made: tuple[bytes | None, bytes | None, Headers],
) -> tuple[bytes | None, bytes | None, Headers]:
    key, value, with_headers = made
    return value, key, with_headers
