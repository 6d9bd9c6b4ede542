"""What cannot be written, and what is said of it: wrong fields, no key, too large, undeclared."""

from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from pmstream.errors import CommandInvalid
from pmstream.runtime.codec import Codec, MessageInvalid
from tests.runtime import zoo
from tests.runtime.zoo import Card, Flat, Keyed, Money, Simple


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(zoo.make_app(zoo.write(tmp_path_factory.mktemp("avro"))))


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
    "no zone": ({"at": zoo.A_FLAT.local}, "field at: Expected `datetime` with a timezone"),
    "a zone": ({"local": zoo.A_FLAT.at}, "field local: Expected `datetime` with no timezone"),
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
        *(pytest.param(zoo.A_FLAT, *each, id=name) for name, each in WRONG.items()),
        *(pytest.param(zoo.A_DEEP, *each, id=name) for name, each in WRONG_DEEP.items()),
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


def test_the_order_of_a_map_does_not_reach_the_bytes(codec: Codec) -> None:
    once = msgspec.structs.replace(zoo.A_DEEP, rates={"b": 1.0, "a": 2.0})
    again = msgspec.structs.replace(zoo.A_DEEP, rates={"a": 2.0, "b": 1.0})

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
    with pytest.raises(CommandInvalid, match=r"Simple for topic .*: key field id is empty"):
        codec.encode_command(Simple("", 1))


def test_a_key_of_a_type_that_is_no_text_is_invalid(tmp_path: Path) -> None:
    app = zoo.make_app(zoo.write(tmp_path), commands={zoo.COMMANDS: {Flat: "maybe"}})

    with pytest.raises(CommandInvalid, match="key field maybe is of type NoneType"):
        Codec(app).encode_command(zoo.A_FLAT)


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
