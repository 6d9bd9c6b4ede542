"""Every fault between an app and its schemas folder, and what is none."""

import datetime as dt
from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

import msgspec
import pytest
from msgspec import Meta, Struct

from pmstream import Topic
from pmstream.errors import CommandInvalid, Undecodable
from pmstream.runtime.codec import Codec, check_schemas
from tests.runtime import zoo
from tests.runtime.zoo import Card, Deep, Flat, Keyed, Simple

T = "zoo.T"


def test_the_zoo_and_the_example_are_without_fault(tmp_path: Path) -> None:
    assert zoo.faults(tmp_path, zoo.SCHEMAS, Flat, Deep, Simple, Keyed) == []


class Cash(Enum):
    CARD = "CARD"
    CASH = "CASH"


class Untagged(Struct, frozen=True):
    number: str


class Cards(Struct, frozen=True, tag_field="-type", tag="zoo.Card"):
    digits: str


CARD_OR_ACCOUNT = ["null", zoo.MONEY, zoo.CARD, zoo.record("Account", ("number", "string"))]
TAGS = 'tag_field="-type", tag="zoo.Account"'
DISAGREEMENTS: dict[str, tuple[Any, type[Struct], Sequence[str]]] = {
    "names": (
        [("a", "long"), ("b", "long")],
        zoo.a_type(a=int, c=int),
        ["the type lacks the field b", "the schema lacks the field c"],
    ),
    "type": (
        [("a", "long")],
        zoo.a_type(a=str),
        ["field a is str in the type; the schema says long"],
    ),
    "logical type": (
        [("a", zoo.MILLIS)],
        zoo.a_type(a=int),
        ["field a is int in the type; the schema says long-timestamp-millis"],
    ),
    "optional in the schema": (
        [("a", ["null", "long"])],
        zoo.a_type(a=int),
        ["field a is int in the type; the schema says null"],
    ),
    "optional in the type": (
        [("a", "long")],
        zoo.a_type(a=int | None),
        ["field a may be NoneType in the type; the schema has no such branch"],
    ),
    "item": (
        [("a", {"type": "array", "items": "long"})],
        zoo.a_type(a=list[str]),
        ["field a, an item, is str in the type; the schema says long"],
    ),
    "no array": (
        [("a", {"type": "array", "items": "long"})],
        zoo.a_type(a=tuple[int, int]),
        ["field a is tuple in the type; the schema says array"],
    ),
    "value": (
        [("a", {"type": "map", "values": "long"})],
        zoo.a_type(a=dict[str, str]),
        ["field a, a value, is str in the type; the schema says long"],
    ),
    "key": (
        [("a", {"type": "map", "values": "long"})],
        zoo.a_type(a=dict[int, int]),
        ["field a, a key, is int in the type; the schema says string"],
    ),
    "symbols": (
        [("a", zoo.KIND)],
        zoo.a_type(a=Cash),
        ["field a: symbols differ: CASH, TRANSFER"],
    ),
    "record within": (
        [("a", zoo.CARD)],
        zoo.a_type(a=Cards),
        [
            "field a: Cards (zoo.Card): the type lacks the field number",
            "field a: Cards (zoo.Card): the schema lacks the field digits",
        ],
    ),
    "default of the schema": (
        [("a", "long", 5)],
        zoo.a_type(a=int),
        ["field a has the default 5 in the schema, none in the type"],
    ),
    "default of the type": (
        [("a", "long")],
        zoo.a_type(a=(int, 5)),
        ["field a has the default 5 in the type, none in the schema"],
    ),
    "another default": (
        [("a", zoo.PRICE, "\u0064")],
        zoo.a_type(a=(Decimal, Decimal("2.00"))),
        ["field a has the default Decimal('1.00') in the schema, Decimal('2.00') in the type"],
    ),
    "tags": (
        [("a", ["null", zoo.CARD, zoo.record("Account", ("number", "string"))])],
        zoo.a_type(a=Card | Untagged | None),
        [
            "field a: Untagged stands beside other records: give it " + TAGS,
        ],
    ),
}


@pytest.mark.parametrize("point", DISAGREEMENTS)
def test_a_type_that_disagrees_with_its_schema_is_a_fault(tmp_path: Path, point: str) -> None:
    fields, type_, said = DISAGREEMENTS[point]

    found = zoo.faults(tmp_path, {T: zoo.record(T, *fields)}, type_)

    assert sorted(found) == sorted(f"T (zoo.T): {each}" for each in said)


def test_options_that_leave_fields_out_are_faults(tmp_path: Path) -> None:
    lazy = msgspec.defstruct("T", [("a", int, 0)], omit_defaults=True, namespace={"__schema__": T})

    found = zoo.faults(tmp_path, {T: zoo.record(T, ("a", "long", 0))}, lazy)

    assert found == [
        "T (zoo.T): omit_defaults and array_like do not go with Avro, which writes all fields"
    ]


def test_branches_that_msgspec_cannot_tell_apart_are_a_fault(tmp_path: Path) -> None:
    found = zoo.faults(
        tmp_path, {T: zoo.record(T, ("a", ["string", "bytes"]))}, zoo.a_type(a=str | bytes)
    )

    assert len(found) == 1
    assert "more than one str-like type" in found[0]


def test_a_schema_that_is_no_record_is_a_fault(tmp_path: Path) -> None:
    assert zoo.faults(tmp_path, {T: zoo.KIND | {"name": T}}, zoo.a_type(a=int)) == [
        "T (zoo.T): the schema is no record"
    ]


def test_two_types_of_one_schema_in_a_topic_are_a_fault(tmp_path: Path) -> None:
    first, second = (
        zoo.a_type(a=int),
        msgspec.defstruct("Twin", [("a", int)], namespace={"__schema__": T}),
    )

    assert zoo.faults(tmp_path, {T: zoo.record(T, ("a", "long"))}, first, second) == [
        "topic t: T and Twin both have the schema zoo.T; a record of it could be either"
    ]


def test_a_topic_has_one_format(tmp_path: Path) -> None:
    app = zoo.make_app(
        zoo.write(tmp_path),
        events={"t": Topic([Simple], format="confluent-avro")},
        commands={"t": {Keyed: "id"}},
    )

    assert "topic t has one format for events and another for commands" in check_schemas(app)


def test_registry_ids_are_checked(tmp_path: Path) -> None:
    app = zoo.make_registry_app(zoo.write(tmp_path), {7: "zoo.Gone"})
    ids = tmp_path / "ids.json"

    assert check_schemas(app) == [
        f"{ids}: id 7 names zoo.Gone, but there is no zoo.Gone.avsc",
        f"topic zoo.registry: {ids} gives no id to zoo.Simple",
    ]
    ids.write_text('["zoo.Simple"]')
    assert f'{ids}: not {{"<registry id>": "<schema>"}}' in check_schemas(app)[0]


Account = NewType("Account", str)
AGREEMENTS: dict[str, tuple[Any, type[Struct]]] = {
    "list for array": ([("a", {"type": "array", "items": "long"})], zoo.a_type(a=list[int])),
    "Sequence for array": (
        [("a", {"type": "array", "items": "long"})],
        zoo.a_type(a=Sequence[int]),
    ),
    "Mapping for map": (
        [("a", {"type": "map", "values": "long"})],
        zoo.a_type(a=Mapping[str, int]),
    ),
    "Literal for enum": ([("a", zoo.KIND)], zoo.a_type(a=Literal["CARD", "TRANSFER"])),
    "NewType": ([("a", "string")], zoo.a_type(a=Account)),
    "int and long": ([("a", ["null", "int", "long"])], zoo.a_type(a=int | None)),
    "property of the producer's language": (
        [("a", {"type": "string", "avro.java.string": "String"})],
        zoo.a_type(a=str),
    ),
    "unknown logical type": ([("a", zoo.logical("long", "timestamp-nanos"))], zoo.a_type(a=int)),
    "default from a factory": (
        [("a", {"type": "array", "items": "long"}, [])],
        zoo.a_type(a=(list[int], msgspec.field(default_factory=list))),
    ),
    "date by default": (
        [("a", zoo.logical("int", "date"), 1)],
        zoo.a_type(a=(dt.date, dt.date(1970, 1, 2))),
    ),
}


@pytest.mark.parametrize("case", AGREEMENTS)
def test_other_ways_to_say_the_same_agree(tmp_path: Path, case: str) -> None:
    fields, type_ = AGREEMENTS[case]

    assert zoo.faults(tmp_path, {T: zoo.record(T, *fields)}, type_) == []


def test_what_annotated_demands_holds_for_writing_and_reading(tmp_path: Path) -> None:
    positive, any_ = zoo.a_type(a=Annotated[int, Meta(gt=0)]), zoo.a_type(a=int)
    zoo.write(tmp_path, {T: zoo.record(T, ("a", "long"))})
    codec = Codec(
        zoo.make_app(
            tmp_path, events={"t": [positive], "u": [any_]}, commands={"c": {positive: "a"}}
        )
    )

    assert codec.decode("t", codec.encode_event("u", any_(1))) == positive(1)
    with pytest.raises(CommandInvalid, match="field a: Expected `int` >= 1"):
        codec.encode_command(positive(-1))
    with pytest.raises(Undecodable, match="Expected `int` >= 1"):
        codec.decode("t", codec.encode_event("u", any_(-1)))
