"""Messages of older schemas as wholes: fields and names that changed, units, and what is told."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from pmstream import Topic
from pmstream.runtime.codec import Codec, Undeclared, check_schemas
from tests.runtime import zoo
from tests.runtime.test_older_writers import MOMENT, T, array, values
from tests.runtime.zoo import Account, Card, Money, Simple

PRICE_OF_3 = zoo.logical("bytes", "decimal", precision=12, scale=3)


def test_fields_may_come_go_and_take_another_name(tmp_path: Path) -> None:
    older = zoo.record("zoo.Simple", ("key", "string"), ("gone", zoo.MONEY), ("n", "int"))
    newer = zoo.record("zoo.Simple", ("id", "string"), ("n", "long"), ("note", "string", "-"))
    newer["fields"][0]["aliases"] = ["other", "key"]
    codec = zoo.codec_of(tmp_path, older, newer, Simple)

    value = zoo.framed(older, {"key": "a", "gone": {"units": 1, "currency": "x"}, "n": 5})

    assert codec.decode(zoo.EVENTS, value) == Simple("a", 5, "-")


@pytest.mark.parametrize("alias", ["Ancient", "zoo.Ancient"])
def test_a_message_that_took_another_name_is_read_by_its_alias(tmp_path: Path, alias: str) -> None:
    older = zoo.record("zoo.Ancient", ("id", "string"), ("n", "int"))
    newer = zoo.renamed(zoo.SIMPLE, "zoo.Simple", alias)
    codec = zoo.codec_of(tmp_path, older, newer, Simple)

    assert codec.decode(zoo.EVENTS, zoo.framed(older, {"id": "a", "n": 5})) == Simple("a", 5)


def test_a_message_without_heir_is_known_and_ignored(tmp_path: Path) -> None:
    older = zoo.record("zoo.Ancient", ("id", "string"))
    codec = zoo.codec_of(tmp_path, older, zoo.SIMPLE, Simple)

    assert codec.decode(zoo.EVENTS, zoo.framed(older, {"id": "a"})) == Undeclared("zoo.Ancient")


def test_several_older_writers_are_read_side_by_side(tmp_path: Path) -> None:
    ancient = zoo.record("zoo.Ancient", ("id", "bytes"))
    first = zoo.record("zoo.Simple", ("id", "string"))
    newer = zoo.renamed(zoo.SIMPLE, "zoo.Simple", "Ancient")
    newer["fields"] = [*newer["fields"][:1], {"name": "n", "type": "long", "default": 3}]
    type_ = zoo.a_type(id=str, n=(int, 3))
    type_.__schema__ = "zoo.Simple"  # type: ignore[attr-defined]
    zoo.write(tmp_path, {"previous/1": ancient, "previous/2": first, "zoo.Simple": newer})
    codec = Codec(zoo.make_app(tmp_path, events={zoo.EVENTS: [type_]}, commands={}))

    for older, id in ((ancient, b"a"), (first, "a"), (newer, "a")):
        assert codec.decode(zoo.EVENTS, zoo.framed(older, {"id": id, "n": 3})) == type_("a", 3)


class Deep(Struct, frozen=True):
    __schema__: ClassVar[str] = "zoo.T"

    means: Account | Card | None
    moments: dict[str, dt.datetime | None] = {}


def test_what_did_not_change_beside_what_did_is_read_as_it_was(tmp_path: Path) -> None:
    money = zoo.record("Money", ("units", "int"))
    account = zoo.record("Account", ("number", "string"), ("limit", ["null", money]))
    older = zoo.record(T, ("means", ["null", zoo.CARD, account]), ("moments", values(zoo.MILLIS)))
    account_now = zoo.record("Account", ("number", "string"), ("limit", ["null", zoo.MONEY]))
    newer = zoo.record(
        T,
        ("means", ["null", account_now, zoo.CARD]),
        ("moments", values(["null", zoo.MILLIS]), {}),
    )
    codec = zoo.codec_of(tmp_path, older, newer, Deep)
    means = ("zoo.Account", {"number": "1", "limit": {"units": 5}})

    value = zoo.framed(older, {"means": means, "moments": {"a": MOMENT}})

    assert codec.decode(zoo.EVENTS, value) == Deep(Account("1", Money(5)), {"a": MOMENT})


UNITS: dict[str, tuple[Any, Any, Any, Any, str]] = {
    "of time": (
        zoo.MILLIS,
        MOMENT,
        zoo.logical("long", "timestamp-micros"),
        dt.datetime,
        "was long-timestamp-millis and is long-timestamp-micros: numbers change their meaning",
    ),
    "of a price": (
        zoo.PRICE,
        Decimal("1.50"),
        PRICE_OF_3,
        Decimal,
        "was bytes-decimal of scale 2 and is bytes-decimal of scale 3: numbers change",
    ),
}


@pytest.mark.parametrize("case", UNITS)
def test_another_unit_needs_a_registry_because_the_fingerprint_is_the_same(
    case: str, tmp_path: Path
) -> None:
    before, value, after, hint, said = UNITS[case]
    older, newer, type_ = (
        zoo.record(T, ("a", before)),
        zoo.record(T, ("a", after)),
        zoo.a_type(a=hint),
    )
    zoo.write(tmp_path, {T: newer, "previous/T-1": older})
    (tmp_path / "ids.json").write_text('{"1": "previous/T-1", "2": "zoo.T"}')
    registry = {"t": Topic([type_], format="confluent-avro")}

    by_id = Codec(zoo.make_app(tmp_path, events=registry, commands={}))
    [fault] = check_schemas(zoo.make_app(tmp_path, events={"t": [type_]}, commands={}))

    assert by_id.decode("t", b"\0\0\0\0\1" + zoo.body(older, {"a": value})) == type_(value)
    assert by_id.decode("t", b"\0\0\0\0\2" + zoo.body(newer, {"a": value})) == type_(value)
    assert fault.startswith(f"{tmp_path}/previous/T-1.avsc: field a {said}")
    assert fault.endswith("fingerprint is that of today's zoo.T: give the field another name")


def test_what_no_record_of_an_older_schema_can_be_is_told_at_once(tmp_path: Path) -> None:
    older = zoo.record(
        T, ("a", array(zoo.record("In", ("x", "long")))), ("b", "string"), ("d", ["null", "string"])
    )
    newer = zoo.record(
        T,
        ("a", array(zoo.record("In", ("x", "int"), ("y", "int")))),
        ("b", {"type": "fixed", "name": "F", "size": 2}),
        ("d", ["null", "long"]),
    )
    zoo.write(tmp_path, {T: newer, "previous/older": older})
    start = f"{tmp_path}/previous/older.avsc: today's zoo.T cannot read it: field "

    found = check_schemas(zoo.make_app(tmp_path, events={}, commands={}))

    assert found == [
        start + "a[].x was long, which int cannot read",
        start + "a[].y is new and has no default",
        start + "b was string, which fixed zoo.F cannot read",
    ]
