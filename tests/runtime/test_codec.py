"""Bytes to messages and back: framing, fingerprints, damage."""

import datetime as dt
import random
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastavro import parse_schema
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.messages import Routed
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, Undeclared, UnknownSchema
from tests.runtime import zoo
from tests.runtime.zoo import Account, Card, Deep, Flat, Kind, Money, Simple

UTC_MOMENTS = st.datetimes(timezones=st.just(dt.UTC)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
TEXT = st.text()
LONGS = st.integers(-(2**63), 2**63 - 1)
PRICES = st.decimals("-9999999999.99", "9999999999.99", places=2)
MONEY = st.builds(Money, units=LONGS, currency=TEXT)
FLATS = st.builds(
    Flat,
    text=TEXT.filter(bool),
    yes=st.booleans(),
    small=st.integers(-(2**31), 2**31 - 1),
    large=LONGS,
    single=st.floats(width=32, allow_nan=False),
    double=st.floats(allow_nan=False),
    raw=st.binary(),
    maybe=st.none() | TEXT,
    either=st.none() | LONGS | TEXT,
    at=UTC_MOMENTS,
    local=st.datetimes(),
    day=st.dates(),
    time=st.times(),
    price=PRICES,
    id=st.uuids(),
    due=st.none() | UTC_MOMENTS,
)
DEEPS = st.builds(
    Deep,
    kind=st.sampled_from(Kind),
    total=MONEY,
    lines=st.lists(MONEY, max_size=3).map(tuple),
    rates=st.dictionaries(TEXT, st.floats(allow_nan=False), max_size=3),
    means=st.none() | st.builds(Card, TEXT) | st.builds(Account, TEXT, st.none() | MONEY),
    moments=st.dictionaries(TEXT, st.none() | UTC_MOMENTS, max_size=3),
    code=st.binary(min_size=4, max_size=4),
    from_=TEXT.filter(bool),
    zero=PRICES,
)


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(zoo.make_app(zoo.write(tmp_path_factory.mktemp("avro"))))


@given(FLATS | DEEPS)
def test_a_command_comes_back_as_it_was(codec: Codec, command: Any) -> None:
    encoded = codec.encode_command(command)

    assert encoded.topic == zoo.COMMANDS
    assert codec.decode(encoded.topic, encoded.value) == command
    assert codec.decode_command(encoded.topic, encoded.value) == command


@given(FLATS | DEEPS)
def test_an_event_comes_back_as_it_was(codec: Codec, event: Any) -> None:
    assert codec.decode(zoo.EVENTS, codec.encode_event(zoo.EVENTS, event)) == event


def test_an_event_is_framed_as_a_single_object(codec: Codec) -> None:
    canonical = (
        b'{"name":"zoo.Simple","type":"record","fields":[{"name":"id","type":"string"},'
        b'{"name":"n","type":"long"},{"name":"note","type":"string"}]}'
    )

    value = codec.encode_event(zoo.EVENTS, Simple("ab", 3, "x"))

    assert to_parsing_canonical_form(parse_schema(zoo.SIMPLE)).encode() == canonical
    assert fingerprint(canonical.decode(), "CRC-64-AVRO") == value[2:10].hex()
    assert value == b"\xc3\x01" + zoo.crc64(canonical).to_bytes(8, "little") + b"\x04ab\x06\x02x"
    assert value.hex(" ") == "c3 01 11 92 66 61 d3 2c 8a 92 04 61 62 06 02 78"


def test_a_routed_event_is_read_by_its_source_topic(codec: Codec) -> None:
    value = codec.encode_event(zoo.EVENTS, Simple("a", 1))
    routed = Routed("uuid", "start", value, zoo.EVENTS, 0, 1, 0, 2, ())

    assert codec.decode_event(routed) == Simple("a", 1)


def test_an_undeclared_type_is_known_without_decoding(codec: Codec) -> None:
    nonsense = zoo.framed(zoo.OTHER, {"id": "x"})[:10] + b"\xff" * 7

    assert codec.decode(zoo.EVENTS, nonsense) == Undeclared("zoo.Other")
    with pytest.raises(Undecodable, match=r"zoo\.Other is not declared for topic zoo\.events"):
        codec.decode_command(zoo.EVENTS, nonsense)


def test_an_unknown_schema_is_told_from_damage(codec: Codec) -> None:
    stranger = zoo.record("zoo.Stranger", ("id", "string"))
    value = zoo.framed(stranger, {"id": "x"})

    with pytest.raises(UnknownSchema, match=rf"{zoo.EVENTS}.*fingerprint {value[2:10].hex()}"):
        codec.decode(zoo.EVENTS, value)


WHOLE = zoo.framed(zoo.SIMPLE, {"id": "abc", "n": 300, "note": "xyz"})
DAMAGE = {
    "empty": (b"", "begins with nothing, not with c3 01"),
    "JSON": (b'{"id": "abc"}', "begins with 7b 22, not with c3 01: its format is not avro"),
    "no fingerprint": (WHOLE[:6], "ends within its 10 bytes"),
    "no body": (WHOLE[:10], "is no whole Simple"),
    "truncated": (WHOLE[:-1], "is no whole Simple: Expected 3 bytes, read 2"),
    "garbage behind": (WHOLE + b"xy", "has 2 bytes after its Simple"),
    "negative length": (WHOLE[:10] + b"\x03abcdef", "is no whole Simple"),
    "not UTF-8": (WHOLE[:10] + b"\x02\xff\x02\x02x", "is no whole Simple"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_bytes_are_undecodable(codec: Codec, damage: str) -> None:
    value, said = DAMAGE[damage]

    with pytest.raises(Undecodable, match=said) as caught:
        codec.decode(zoo.EVENTS, value)

    assert not isinstance(caught.value, UnknownSchema)


def test_a_topic_that_nobody_declares_is_undecodable(codec: Codec) -> None:
    with pytest.raises(Undecodable, match=r"topic elsewhere is not declared by app zoo"):
        codec.decode("elsewhere", WHOLE)


def test_random_bytes_raise_nothing_but_undecodable(codec: Codec) -> None:
    chance = random.Random(7)
    prefixes = [codec.encode_event(zoo.EVENTS, each)[:10] for each in (zoo.A_FLAT, zoo.A_DEEP)]
    wholes = [codec.encode_event(zoo.EVENTS, each) for each in (zoo.A_FLAT, zoo.A_DEEP)]
    for _ in range(2_000):
        noise = chance.randbytes(chance.randrange(80))
        flipped = bytearray(chance.choice(wholes))
        flipped[chance.randrange(10, len(flipped))] ^= 1 << chance.randrange(8)
        for value in (noise, chance.choice(prefixes) + noise, bytes(flipped)):
            with suppress(Undecodable):
                codec.decode(zoo.EVENTS, value)


def test_a_registry_topic_is_read_and_written_by_ids(tmp_path: Path) -> None:
    older = zoo.record("zoo.Simple", ("id", "string"), ("n", "long"))
    zoo.write(tmp_path, zoo.SCHEMAS | {"previous/Simple-1": older})
    ids = {3: "previous/Simple-1", 5: "zoo.Simple", 9: "zoo.Simple", 12: "zoo.Other"}
    codec = Codec(zoo.make_registry_app(tmp_path, ids))

    value = codec.encode_event(zoo.REGISTRY, Simple("a", 1))

    assert value == bytes.fromhex("00 00000009") + b"\x02a\x02\x02-"
    assert codec.decode(zoo.REGISTRY, value) == Simple("a", 1)
    assert codec.decode(zoo.REGISTRY, b"\0\0\0\0\x05" + value[5:]) == Simple("a", 1)
    assert codec.decode(zoo.REGISTRY, b"\0\0\0\0\x03\x02a\x02") == Simple("a", 1)
    assert codec.decode(zoo.REGISTRY, b"\0\0\0\0\x0c") == Undeclared("zoo.Other")
    with pytest.raises(UnknownSchema, match="registry id 4"):
        codec.decode(zoo.REGISTRY, b"\0\0\0\0\x04\x02a\x02")
    with pytest.raises(Undecodable, match="begins with c3, not with 00"):
        codec.decode(zoo.REGISTRY, WHOLE)
