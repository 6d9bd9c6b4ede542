"""Bytes to messages and back: framing, fingerprints, older writers, damage, wrong types."""

import datetime as dt
import io
import random
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import fingerprint, to_parsing_canonical_form
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.messages import Routed
from pmstream.errors import CommandInvalid, Undecodable
from pmstream.runtime.codec import Codec, MessageInvalid, Undeclared, UnknownSchema
from tests.runtime import zoo
from tests.runtime.zoo import Account, Card, Deep, Flat, Keyed, Kind, Money, Simple

UTC_MOMENTS = st.datetimes(dt.datetime(1, 1, 2), dt.datetime(9999, 12, 30)).map(
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=dt.UTC)
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
A_FLAT = Flat(
    text="t",
    yes=True,
    small=1,
    large=2,
    single=0.5,
    double=0.25,
    raw=b"r",
    maybe=None,
    either="e",
    at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    local=dt.datetime(2026, 1, 2),
    day=dt.date(2026, 1, 2),
    time=dt.time(1, 2),
    price=Decimal("1.50"),
    id=UUID(int=7),
)
A_DEEP = Deep(Kind.CARD, Money(5), (), {}, Card("1"), {}, b"code", "sender")


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(zoo.make_app(zoo.write(tmp_path_factory.mktemp("avro"))))


def crc64(text: bytes) -> int:
    """CRC-64-AVRO bit by bit, as the specification's prose has it."""
    crc = 0xC15D213AA4D7A795
    for byte in text:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xC15D213AA4D7A795 if crc & 1 else 0)
    return crc


def body(schema: Any, fields: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(schema), fields)
    return stream.getvalue()


def framed(schema: Any, fields: dict[str, Any]) -> bytes:
    canonical = to_parsing_canonical_form(parse_schema(schema))
    return b"\xc3\x01" + crc64(canonical.encode()).to_bytes(8, "little") + body(schema, fields)


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
    assert value == b"\xc3\x01" + crc64(canonical).to_bytes(8, "little") + b"\x04ab\x06\x02x"
    assert value.hex(" ") == "c3 01 11 92 66 61 d3 2c 8a 92 04 61 62 06 02 78"


def test_a_routed_event_is_read_by_its_source_topic(codec: Codec) -> None:
    value = codec.encode_event(zoo.EVENTS, Simple("a", 1))
    routed = Routed("uuid", "start", value, zoo.EVENTS, 0, 1, 0, 2, ())

    assert codec.decode_event(routed) == Simple("a", 1)


OLDER = {
    "a field less": (
        zoo.record("zoo.Simple", ("id", "string"), ("n", "long")),
        {"id": "a", "n": 1},
        Simple("a", 1),
    ),
    "fields more, in another order": (
        zoo.record("zoo.Simple", ("gone", "long"), ("n", "long"), ("id", "string")),
        {"id": "a", "n": 1, "gone": 9},
        Simple("a", 1),
    ),
    "a narrower type": (
        zoo.record("zoo.Simple", ("id", "bytes"), ("n", "int"), ("note", "string")),
        {"id": b"a", "n": 1, "note": "x"},
        Simple("a", 1, "x"),
    ),
    "defaults that JSON cannot say": (
        zoo.record("zoo.Deep", *[list(each.values()) for each in zoo.DEEP["fields"][:8]]),
        {"kind": "CARD", "total": {"units": 5}, "lines": [], "rates": {}, "moments": {}}
        | {"means": ("zoo.Card", {"number": "1"}), "code": b"code", "from": "sender"},
        A_DEEP,
    ),
    "defaults that JSON cannot say, resolved": (
        zoo.record(
            "zoo.Deep",
            *[list(each.values()) for each in zoo.DEEP["fields"][:3]],
            ("rates", {"type": "map", "values": "long"}),
            *[list(each.values()) for each in zoo.DEEP["fields"][4:8]],
        ),
        {"kind": "CARD", "total": {"units": 5}, "lines": [], "rates": {}, "moments": {}}
        | {"means": ("zoo.Card", {"number": "1"}), "code": b"code", "from": "sender"},
        A_DEEP,
    ),
}


@pytest.mark.parametrize("difference", OLDER)
def test_an_older_writer_is_read_as_today(difference: str, tmp_path: Path) -> None:
    older, fields, expected = OLDER[difference]
    zoo.write(tmp_path, zoo.SCHEMAS | {"previous/older": older})
    codec = Codec(zoo.make_app(tmp_path))

    assert codec.decode(zoo.EVENTS, framed(older, fields)) == expected


def test_an_undeclared_type_is_known_without_decoding(codec: Codec) -> None:
    nonsense = framed(zoo.OTHER, {"id": "x"})[:10] + b"\xff" * 7

    assert codec.decode(zoo.EVENTS, nonsense) == Undeclared("zoo.Other")
    with pytest.raises(Undecodable, match=r"zoo\.Other is not declared for topic zoo\.events"):
        codec.decode_command(zoo.EVENTS, nonsense)


def test_an_unknown_schema_is_told_from_damage(codec: Codec) -> None:
    stranger = zoo.record("zoo.Stranger", ("id", "string"))
    value = framed(stranger, {"id": "x"})

    with pytest.raises(UnknownSchema, match=rf"{zoo.EVENTS}.*fingerprint {value[2:10].hex()}"):
        codec.decode(zoo.EVENTS, value)


WHOLE = framed(zoo.SIMPLE, {"id": "abc", "n": 300, "note": "xyz"})
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
    prefixes = [codec.encode_event(zoo.EVENTS, each)[:10] for each in (A_FLAT, A_DEEP)]
    wholes = [codec.encode_event(zoo.EVENTS, each) for each in (A_FLAT, A_DEEP)]
    for _ in range(2_000):
        noise = chance.randbytes(chance.randrange(80))
        flipped = bytearray(chance.choice(wholes))
        flipped[chance.randrange(10, len(flipped))] ^= 1 << chance.randrange(8)
        for value in (noise, chance.choice(prefixes) + noise, bytes(flipped)):
            try:
                codec.decode(zoo.EVENTS, value)
            except Undecodable as error:
                assert str(error)


WRONG = {
    "int for string": ({"text": 5}, "field text: Expected `str`, got `int`"),
    "bytes for string": ({"text": b"t"}, "field text: Expected `str`, got `bytes`"),
    "None for string": ({"text": None}, "field text: Expected `str`, got `null`"),
    "UUID for string": ({"maybe": UUID(int=1)}, "field maybe: Expected `str | null`, got `uuid`"),
    "half a surrogate": ({"text": "\ud800"}, "field text: 'utf-8' codec can't encode"),
    "int for boolean": ({"yes": 1}, "field yes: Expected `bool`, got `int`"),
    "bool for int": ({"small": True}, "field small: Expected `int`, got `bool`"),
    "33 bits for int": ({"small": 2**31}, "field small: Expected `int` <= 2147483647"),
    "65 bits for long": ({"large": 2**63}, "field large: Expected `int` <= 9223372036854775807"),
    "float for long": ({"large": 1.0}, "field large: Expected `int`, got `float`"),
    "string for long": ({"large": "2"}, "field large: Expected `int`, got `str`"),
    "string for double": ({"double": "0.5"}, "field double: Expected `float`, got `str`"),
    "bool for double": ({"double": True}, "field double: Expected `float`, got `bool`"),
    "string for bytes": ({"raw": "cg=="}, "field raw: Expected `bytes`, got `str`"),
    "float in a union": ({"either": 0.5}, "field either: Expected `int | str | null`, got `float`"),
    "no zone": ({"at": dt.datetime(2026, 1, 1)}, "field at: Expected `datetime` with a timezone"),
    "a zone": ({"local": A_FLAT.at}, "field local: Expected `datetime` with no timezone"),
    "number for time": ({"at": 5}, "field at: Expected `datetime`, got `int`"),
    "text for date": ({"day": "2026-01-02"}, "field day: Expected `date`, got `str`"),
    "text for uuid": ({"id": "zz"}, "field id: Expected `uuid`, got `str`"),
    "float for decimal": ({"price": 1.5}, "field price: Expected `decimal`, got `float`"),
    "too fine": ({"price": Decimal("1.505")}, "field price: Scale provided in schema"),
    "too long": ({"price": Decimal(10**13)}, "field price: The decimal precision is bigger"),
    "no number": ({"price": Decimal("NaN")}, "field price: "),
}
WRONG_DEEP = {
    "no symbol": ({"kind": "CASH"}, "field kind: Invalid enum value 'CASH'"),
    "record field": ({"total": Money("5")}, "field total.units: Expected `int`, got `str`"),  # type: ignore[arg-type]
    "no record": ({"total": 5}, "field total: Expected `object`, got `int`"),
    "item": ({"lines": (Money(1), 5)}, r"field lines\[1\]: Expected `object`, got `int`"),
    "no array": ({"lines": "ab"}, "field lines: Expected `array`, got `str`"),
    "map value": ({"rates": {"a": "b"}}, r"field rates\[...\]: Expected `float`, got `str`"),
    "map key": ({"rates": {1: 0.5}}, "field rates: Expected `str`, got `int`"),
    "no branch": ({"means": Money(1)}, "field means"),
    "in a branch": ({"means": Card(5)}, "field means.number: Expected `str`, got `int`"),  # type: ignore[arg-type]
    "fixed length": ({"code": b"long!"}, "field code: Expected `bytes` of length <= 4"),
    "unheard of": ({"lines": object()}, "field lines: .*object"),
}


@pytest.mark.parametrize(
    ("good", "changes", "said"),
    [
        *(pytest.param(A_FLAT, *each, id=name) for name, each in WRONG.items()),
        *(pytest.param(A_DEEP, *each, id=name) for name, each in WRONG_DEEP.items()),
    ],
)
def test_a_wrong_field_makes_a_command_invalid(
    codec: Codec, good: Any, changes: dict[str, Any], said: str
) -> None:
    bad = msgspec.structs.replace(good, **changes)

    with pytest.raises(CommandInvalid, match=f"{type(good).__name__} for topic .*{said}"):
        codec.encode_command(bad)
    with pytest.raises(MessageInvalid, match=said):
        codec.encode_event(zoo.EVENTS, bad)


def test_the_order_of_a_set_does_not_reach_the_bytes(codec: Codec) -> None:
    once = msgspec.structs.replace(A_DEEP, rates={"b": 1.0, "a": 2.0})
    again = msgspec.structs.replace(A_DEEP, rates={"a": 2.0, "b": 1.0})

    assert codec.encode_command(once) == codec.encode_command(again)


@pytest.mark.parametrize(
    ("command", "key"),
    [
        (Simple("acc\u00f6unt", 1), "acc\u00f6unt".encode()),
        (Keyed(UUID(int=1), 1), b"00000000-0000-0000-0000-000000000001"),
    ],
)
def test_a_command_is_keyed_by_its_key_field(codec: Codec, command: Any, key: bytes) -> None:
    assert codec.encode_command(command).key == key


def test_a_whole_number_is_a_key(tmp_path: Path) -> None:
    app = zoo.make_app(zoo.write(tmp_path), commands={zoo.COMMANDS: {Simple: "n"}})

    assert Codec(app).encode_command(Simple("a", 0)).key == b"0"


def test_a_command_without_a_key_is_invalid(codec: Codec) -> None:
    with pytest.raises(CommandInvalid, match="Simple for topic .*: key field id is empty"):
        codec.encode_command(Simple("", 1))


def test_a_key_of_a_type_that_is_no_text_is_invalid(tmp_path: Path) -> None:
    app = zoo.make_app(zoo.write(tmp_path), commands={zoo.COMMANDS: {Flat: "maybe"}})

    with pytest.raises(CommandInvalid, match="key field maybe is of type NoneType"):
        Codec(app).encode_command(A_FLAT)


def test_a_command_over_the_limit_is_invalid(tmp_path: Path) -> None:
    app = zoo.make_app(zoo.write(tmp_path))
    fits, larger = Simple("a", 1, "x" * 86), Simple("a", 1, "x" * 87)

    codec = Codec(app, max_message_bytes=102)

    assert len(codec.encode_command(fits).value) == 101
    with pytest.raises(CommandInvalid, match="key 1 and value 102 bytes; max_message_bytes is 102"):
        codec.encode_command(larger)


def test_a_type_that_is_not_declared_cannot_be_written(codec: Codec) -> None:
    with pytest.raises(CommandInvalid, match="Money is no command of app zoo; those are Deep, Fl"):
        codec.encode_command(Money(1))
    with pytest.raises(CommandInvalid, match="NoneType is no command"):
        codec.encode_command(None)
    with pytest.raises(MessageInvalid, match=r"Keyed is not declared for topic zoo\.events"):
        codec.encode_event(zoo.EVENTS, Keyed(UUID(int=1), 1))


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
