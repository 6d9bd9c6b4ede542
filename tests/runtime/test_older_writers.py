"""Records of older schemas, whole, through the codec: every change that Avro lets a reader take."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest
from msgspec import Struct

from pmstream.errors import Undecodable
from tests.runtime import zoo
from tests.runtime.zoo import Card, Money

T = "zoo.T"
CARDS = ["null", zoo.CARD, zoo.record("Account", ("number", "string"))]


class Plain(Struct, frozen=True, tag_field="-type", tag="zoo.Account"):
    number: str


def array(items: Any) -> Any:
    return {"type": "array", "items": items}


def values(of: Any) -> Any:
    return {"type": "map", "values": of}


def enum(*symbols: str, **more: Any) -> Any:
    return {"type": "enum", "name": "Level", "symbols": list(symbols), **more}


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
Level = Literal["LOW", "OTHER"]

# case: the field's older type and value, its type today and in Python, the value today
CHANGED: dict[str, tuple[Any, Any, Any, Any, Any]] = {
    "int to long": ("int", 7, "long", int, 7),
    "int to float": ("int", 7, "float", float, 7.0),
    "int to double": ("int", 7, "double", float, 7.0),
    "long to float": ("long", 7, "float", float, 7.0),
    "long to double": ("long", 2**40, "double", float, float(2**40)),
    "float to double": ("float", 0.5, "double", float, 0.5),
    "string to bytes": ("string", "aä", "bytes", bytes, "aä".encode()),
    "bytes to string": ("bytes", "aä".encode(), "string", str, "aä"),
    "items": (array("int"), [1, 2], array("double"), tuple[float, ...], (1.0, 2.0)),
    "values": (values("int"), {"a": 1}, values("double"), dict[str, float], {"a": 1.0}),
    "a union where there was none": ("int", 7, ["null", "long"], int | None, 7),
    "a union of another order": (["null", "string"], "x", ["string", "null"], str | None, "x"),
    "a union with a branch more, null": (
        ["null", "int"],
        None,
        ["null", "int", "string"],
        int | str | None,
        None,
    ),
    "a union with a branch more": (
        ["null", "int"],
        7,
        ["null", "int", "string"],
        int | str | None,
        7,
    ),
    "a union with a wider branch": (["null", "int"], 7, ["null", "double"], float | None, 7.0),
    "a union that lost a branch": (["null", "int", "string"], 7, ["null", "int"], int | None, 7),
    "no union where there was one": (["null", "int"], 7, "long", int, 7),
    "a record into a union of records": (
        zoo.CARD,
        {"number": "1"},
        CARDS,
        Card | Plain | None,
        Card("1"),
    ),
    "an optional record into a union of records": (
        ["null", zoo.CARD],
        {"number": "1"},
        CARDS,
        Card | Plain | None,
        Card("1"),
    ),
    "a union of records, one of them changed": (
        ["null", zoo.CARD, zoo.record("Account", ("number", "bytes"))],
        ("zoo.Account", {"number": b"1"}),
        CARDS,
        Card | Plain | None,
        Plain("1"),
    ),
    "records in a list in a union": (
        ["null", array(zoo.CARD)],
        [{"number": "1"}],
        ["null", array(CARDS)],
        tuple[Card | Plain | None, ...] | None,
        (Card("1"),),
    ),
    "a field more within": (
        zoo.record("Money", ("units", "long")),
        {"units": 5},
        zoo.MONEY,
        Money,
        Money(5, "EUR"),
    ),
    "a field less within": (
        zoo.record("Money", ("units", "long"), ("gone", "string"), ("currency", "string")),
        {"units": 5, "gone": "x", "currency": "USD"},
        zoo.MONEY,
        Money,
        Money(5, "USD"),
    ),
    "a record renamed": (
        zoo.record("Cash", ("units", "long"), ("currency", "string")),
        {"units": 5, "currency": "USD"},
        zoo.renamed(zoo.MONEY, "Money", "Cash"),
        Money,
        Money(5, "USD"),
    ),
    "a record renamed in a union": (
        ["null", zoo.record("Konto", ("number", "string")), zoo.CARD],
        ("zoo.Konto", {"number": "1"}),
        ["null", zoo.CARD, zoo.renamed(CARDS[2], "Account", "zoo.Konto")],
        Card | Plain | None,
        Plain("1"),
    ),
    "a symbol more": (enum("LOW"), "LOW", enum("OTHER", "LOW"), Level, "LOW"),
    "a symbol less, not this one": (enum("LOW", "HIGH"), "LOW", enum("LOW", "OTHER"), Level, "LOW"),
    "a symbol less, with a default": (
        enum("LOW", "HIGH"),
        "HIGH",
        enum("LOW", "OTHER", default="OTHER"),
        Level,
        "OTHER",
    ),
    "symbols in a union": (
        ["null", enum("LOW", "HIGH")],
        "HIGH",
        ["null", enum("LOW", "OTHER", default="OTHER")],
        Level | None,
        "OTHER",
    ),
    "a moment where a number was": ("long", 1767323045678, zoo.MILLIS, dt.datetime, MOMENT),
    "a number where a moment was": (zoo.MILLIS, MOMENT, "long", int, 1767323045678),
    "a day into a union": (
        zoo.logical("int", "date"),
        dt.date(2026, 1, 2),
        ["null", zoo.logical("int", "date")],
        dt.date | None,
        dt.date(2026, 1, 2),
    ),
    "a UUID where text was": (
        "string",
        str(UUID(int=7)),
        zoo.logical("string", "uuid"),
        UUID,
        UUID(int=7),
    ),
    "a price into a union": (
        zoo.PRICE,
        Decimal("-1.50"),
        ["null", zoo.PRICE],
        Decimal | None,
        Decimal("-1.50"),
    ),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_field_whose_type_changed_is_read_as_todays(case: str, tmp_path: Path) -> None:
    before, value, after, hint, expected = CHANGED[case]
    older = zoo.record(T, ("a", before), ("b", "bytes"))  # so that fingerprints differ, always
    newer, type_ = zoo.record(T, ("a", after), ("b", "string")), zoo.a_type(a=hint, b=str)

    codec = zoo.codec_of(tmp_path, older, newer, type_)
    found = codec.decode(zoo.EVENTS, zoo.framed(older, {"a": value, "b": b"behind"}))

    assert found == type_(expected, "behind")
    assert codec.decode(zoo.EVENTS, codec.encode_event(zoo.EVENTS, found)) == found


UNREADABLE: dict[str, tuple[Any, Any, Any, Any, str]] = {
    "a symbol that is gone": (enum("LOW", "HIGH"), "HIGH", enum("LOW", "OTHER"), Level, "'HIGH'"),
    "a branch that is gone": (["null", "int"], None, "long", int, "null is not long"),
    "bytes that are no text": ("bytes", b"\xff", "string", str, "can't decode byte"),
    "text that is no UUID": ("string", "x", zoo.logical("string", "uuid"), UUID, "badly formed"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_value_that_todays_type_cannot_take_is_undecodable(case: str, tmp_path: Path) -> None:
    before, value, after, hint, said = UNREADABLE[case]
    older = zoo.record(T, ("a", before))
    codec = zoo.codec_of(tmp_path, older, zoo.record(T, ("a", after)), zoo.a_type(a=hint))

    with pytest.raises(Undecodable, match=f"is no whole T: .*{said}"):
        codec.decode(zoo.EVENTS, zoo.framed(older, {"a": value}))


def test_a_truncated_record_of_an_older_writer_is_undecodable(tmp_path: Path) -> None:
    older = zoo.record(T, ("a", ["null", "string"]))
    newer = zoo.record(T, ("a", ["null", "bytes"]))
    codec = zoo.codec_of(tmp_path, older, newer, zoo.a_type(a=bytes | None))
    value = zoo.framed(older, {"a": "text"})

    for damaged in (value[:-1], value[:11], value + b"x", value[:10] + b"\x08" + value[11:]):
        with pytest.raises(Undecodable, match=f"a record of {zoo.EVENTS} "):
            codec.decode(zoo.EVENTS, damaged)
