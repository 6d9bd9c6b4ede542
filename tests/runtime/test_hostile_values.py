"""Records of a stranger: none takes long, and all that is no message is said to be none."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.messages import Headers
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, Undeclared
from tests.runtime import shop, zoo
from tests.runtime.test_hostile_schemas import ODD


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(zoo.make_app(zoo.write(tmp_path_factory.mktemp("avro"))))


@pytest.fixture(scope="module")
def in_json(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(shop.make_app(tmp_path_factory.mktemp("none") / "avro"))


def number(value: int) -> bytes:
    """A long of Avro."""
    left, found = (value << 1) ^ (value >> 63), b""
    while left > 127:
        found += bytes((left & 127 | 128,))
        left >>= 7
    return found + bytes((left,))


def put(codec: Codec, message: Any, old: bytes, new: bytes) -> bytes:
    """A message's bytes with one part replaced."""
    value = codec.encode_event(zoo.EVENTS, message)
    assert value.count(old) == 1
    return value.replace(old, new)


LINES = zoo.Deep(zoo.Kind.CARD, zoo.Money(5), (zoo.Money(77_777, "LINE"),), {}, None, {}, b"code")
LINE = number(77_777) + b"\x08LINE"
PRICE = b"\x04\x00\x96"

BOMBS = {
    "a decimal of a million bytes": (zoo.A_FLAT, PRICE, number(10**6) + b"\x7f" * 10**6),
    "a decimal of 513 bytes": (zoo.A_FLAT, PRICE, number(513) + b"\x7f" * 513),
    "bytes without end": (zoo.A_FLAT, b"\x02r", number(2**62) + b"r"),
    "bytes of a negative length": (zoo.A_FLAT, b"\x02r", number(-2)),
    "a number without end": (zoo.A_FLAT, b"\x02t", b"\x80" * 10**6),
    "items without end": (LINES, b"\x02" + LINE, number(2**62) + LINE),
    "items of a negative count": (LINES, b"\x02" + LINE, number(-(2**62)) + number(9) + LINE),
    "a million items and no more": (LINES, b"\x02" + LINE, number(10**6) + LINE * 3),
}


@pytest.mark.parametrize("what", BOMBS)
def test_a_bomb_in_avro_is_no_message(codec: Codec, what: str) -> None:
    message, old, new = BOMBS[what]

    with pytest.raises(Undecodable, match="is no whole"):
        codec.decode(zoo.EVENTS, put(codec, message, old, new))


def test_a_decimal_with_more_room_than_it_needs_is_one(codec: Codec) -> None:
    padded = put(codec, zoo.A_FLAT, PRICE, number(16) + bytes(14) + b"\x00\x96")

    assert codec.decode(zoo.EVENTS, padded) == zoo.A_FLAT


OBJECTS = {
    "100 000 brackets": b'{"type":"shop.Placed","order":' + b"[" * 100_000,
    "100 000 whole brackets": b'{"type":"Empty","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100 000 objects": b'{"type":"Empty","x":' + b'{"x":' * 100_000 + b"1" + b"}" * 100_001,
    "a very large number": b'{"type":"a.Billed","n":' + b"1" * 100_000 + b"}",
    "an infinite number": b'{"type":"a.Billed","n":1e999}',
    "no number": b'{"type":"a.Billed","n":NaN}',
    "half a character": b'{"type":"a.Billed\\ud800","n":1}',
    "no UTF-8": b'{"type":"a.Billed","n":"\xff\xfe"}',
    "a name without end": b'{"type":"' + b"x" * 1_000_000 + b'"}',
    "truncated": b'{"type":"a.Billed","n":1',
    "more than one": b'{"type":"a.Billed","n":1}{}',
    "no object": b'["a.Billed"]',
    "nothing": b"",
}


@pytest.mark.parametrize("what", OBJECTS)
def test_json_that_is_no_message_says_so(in_json: Codec, what: str) -> None:
    with pytest.raises(Undecodable) as raised:
        in_json.decode(shop.IN_FIELD, OBJECTS[what])

    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "headers",
    [
        (("type", b"Empty"), ("type", None)),
        (("type", b"Empty"), ("type", b"")),
        (("type", b"Empty"), ("type", b"\xff")),
        (("type", b"x" * 1_000_000),),
        (),
    ],
    ids=lambda headers: repr(headers)[:40],
)
def test_of_repeated_headers_the_last_counts(in_json: Codec, headers: Headers) -> None:
    with pytest.raises(Undecodable) as raised:
        in_json.decode(shop.IN_HEADER, b"{}", headers)

    assert len(str(raised.value)) < 500


@given(thing=ODD, name=st.sampled_from(["shop.Placed", "Empty", "a.Billed", "no.Such"]))
def test_json_of_any_shape_is_a_message_or_none(in_json: Codec, thing: Any, name: str) -> None:
    fields = thing if isinstance(thing, dict) else {"n": thing, "order": thing}
    value = json.dumps({**fields, "type": name}).encode()

    try:
        found = in_json.decode(shop.IN_FIELD, value)
    except Undecodable:
        return

    types = {"shop.Placed": shop.Placed, "Empty": shop.Empty, "a.Billed": shop.OneBilled}
    assert type(found) is types.get(name, Undeclared)


@given(data=st.binary(max_size=200))
def test_avro_of_any_bytes_is_a_message_or_none(codec: Codec, data: bytes) -> None:
    for message in (zoo.A_FLAT, zoo.A_DEEP):
        head = codec.encode_event(zoo.EVENTS, message)[:10]
        try:
            found = codec.decode(zoo.EVENTS, head + data)
        except Undecodable:
            continue
        assert isinstance(found, type(message))
