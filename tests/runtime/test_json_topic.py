"""JSON topics: how a record names its type, and what is read strictly."""

from pathlib import Path

import msgspec
import pytest

from pmstream import Topic
from pmstream.core.messages import Headers, Routed
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, MessageInvalid, Undeclared, check_schemas
from tests.runtime.shop import (
    IN_FIELD,
    IN_HEADER,
    Empty,
    OneBilled,
    OtherEmpty,
    Placed,
    TwoBilled,
    make_app,
)
from tests.runtime.zoo import Simple

BESIDE = "in.avro"


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(make_app(tmp_path_factory.mktemp("none") / "avro"))


def typed(name: bytes | None) -> Headers:
    return (("trace", b"t"), ("type", name))


def test_a_header_names_the_type(codec: Codec) -> None:
    value = codec.encode_event(IN_HEADER, Placed("o-1", 3))

    assert codec.event_headers(IN_HEADER, Placed) == (("type", b"shop.Placed"),)
    assert msgspec.json.decode(value)["order"] == "o-1"
    assert "type" not in msgspec.json.decode(value)
    assert codec.decode(IN_HEADER, value, typed(b"shop.Placed")) == Placed("o-1", 3)
    routed = Routed("uuid", "start", value, IN_HEADER, 0, 1, 0, 2, typed(b"shop.Placed"))
    assert codec.decode_event(routed) == Placed("o-1", 3)


def test_a_field_names_the_type(codec: Codec) -> None:
    value = codec.encode_event(IN_FIELD, OneBilled(3))

    assert value == b'{"type":"a.Billed","n":3}'
    assert codec.event_headers(IN_FIELD, OneBilled) == ()
    assert codec.decode(IN_FIELD, value) == OneBilled(3)
    assert codec.decode(IN_FIELD, b'{"n":3, "type":"a.Billed"}') == OneBilled(3)
    assert codec.encode_event(IN_FIELD, Empty()) == b'{"type":"Empty"}'


NAMES = {
    "shop.Placed": Placed("o"),
    "Placed": Placed("o"),
    "Empty": Empty(),
    "shop.Empty": OtherEmpty(),
    "b.Billed": TwoBilled(),
    "x.Placed": Undeclared("x.Placed"),
    "shop.Gone": Undeclared("shop.Gone"),
    "placed": Undeclared("placed"),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_type_goes_by_its_full_name_or_a_short_one_that_is_its_own(
    codec: Codec, name: str
) -> None:
    fields = b'"order":"o"}'

    assert codec.decode(IN_HEADER, b"{" + fields, typed(name.encode())) == NAMES[name]
    assert codec.decode(IN_FIELD, b'{"type":"%s",' % name.encode() + fields) == NAMES[name]


def test_the_last_of_a_repeated_header_counts(codec: Codec) -> None:
    twice = (("type", b"a.Billed"), ("type", b"b.Billed"))

    assert codec.decode(IN_HEADER, b"{}", twice) == TwoBilled()


def test_an_undeclared_type_is_not_decoded_and_never_handled(codec: Codec) -> None:
    routed = Routed("uuid", "start", b"no JSON", IN_HEADER, 0, 1, 0, 2, typed(b"shop.Gone"))

    assert codec.decode(IN_HEADER, b"no JSON", typed(b"shop.Gone")) == Undeclared("shop.Gone")
    with pytest.raises(Undecodable, match=r"shop\.Gone is not declared for topic by\.header any"):
        codec.decode_event(routed)


NO_NAME: dict[str, tuple[Headers, str]] = {
    "no header": ((), "has nothing in its header 'type', which names its type"),
    "a null": (typed(None), "has nothing in its header 'type'"),
    "an empty one": (typed(b""), "has nothing in its header 'type'"),
    "another's spelling": ((("Type", b"Placed"),), "has nothing in its header 'type'"),
    "bytes": (typed(b"\xff\xfe"), r"has b'\\xff\\xfe' in its header 'type': that is no type's"),
    "a control": (typed(b"Pla\nced"), r"has 'Pla\\nced' in its header 'type': that is no type's"),
    "too long": (typed(b"x" * 256), "has 'x{39} in its header 'type': that is no type's name"),
    "ambiguous": (typed(b"Billed"), r"is a Billed, which could be a\.Billed or b\.Billed: name "),
}


@pytest.mark.parametrize("case", NO_NAME)
def test_a_header_without_a_types_name_is_undecodable(codec: Codec, case: str) -> None:
    headers, said = NO_NAME[case]

    with pytest.raises(Undecodable, match=rf"a record of by\.header {said}"):
        codec.decode(IN_HEADER, b"{}", headers)


NO_FIELD = {
    "empty": (b"", "is no JSON object with a type: Input data was truncated"),
    "no JSON": (b"\xc3\x01abc", "is no JSON object with a type: JSON is malformed"),
    "an array": (b'["Placed"]', "is no JSON object with a type: Expected `object`, got `array`"),
    "no field": (b'{"order":"o"}', "has nothing in its field 'type', which names its type"),
    "an empty one": (b'{"type":""}', "has nothing in its field 'type'"),
    "a number": (b'{"type":5}', "is no JSON object with a type: field type: Expected `str`, got"),
    "a null": (b'{"type":null}', "is no JSON object with a type: field type: Expected `str`, got"),
    "a control": (b'{"type":"a\\nb"}', r"has 'a\\nb' in its field 'type': that is no type's name"),
    "truncated": (b'{"type":"Placed","order"', "is no JSON object with a type: Input data was tr"),
    "too deep": (b'{"type":"Placed","order":' + b"[" * 9999, "is no JSON object with a type: "),
    "ambiguous": (b'{"type":"Billed"}', r"could be a\.Billed or b\.Billed: name its type in full"),
}


@pytest.mark.parametrize("case", NO_FIELD)
def test_a_value_without_a_types_name_is_undecodable(codec: Codec, case: str) -> None:
    value, said = NO_FIELD[case]

    with pytest.raises(Undecodable, match=rf"a record of by\.field .*{said}"):
        codec.decode(IN_FIELD, value)


NOT_PLACED = {
    "a field missing": (b'{"n":1}', "Object missing required field `order`"),
    "text for int": (b'{"order":"o","n":"1"}', "field n: Expected `int`, got `str`"),
    "float for int": (b'{"order":"o","n":1.5}', "field n: Expected `int`, got `float`"),
    "null for text": (b'{"order":null}', "field order: Expected `str`, got `null`"),
    "no moment": (b'{"order":"o","at":"noon"}', "field at: Invalid RFC3339"),
    "no symbol": (b'{"order":"o","kind":"CASH"}', "field kind: Invalid enum value 'CASH'"),
    "no map": (b'{"order":"o","rates":{"a":"b"}}', r"field rates\[...\]: Expected `float`"),
    "an array": (b"[]", "Expected `object`, got `array`"),
    "no JSON": (b"{order}", "JSON is malformed"),
    "garbage behind": (b'{"order":"o"}x', "trailing characters"),
    "not UTF-8": (b'{"order":"\xff"}', "'utf-8' codec can't decode"),
}


@pytest.mark.parametrize("case", NOT_PLACED)
def test_a_message_is_read_strictly_by_its_struct(codec: Codec, case: str) -> None:
    value, said = NOT_PLACED[case]

    with pytest.raises(Undecodable, match=rf"a record of by\.header is no Placed: .*{said}"):
        codec.decode(IN_HEADER, value, typed(b"shop.Placed"))


def test_fields_that_todays_type_does_not_have_are_passed_over(codec: Codec) -> None:
    value = b'{"order":"o","new":{"a":[1]}}'

    assert codec.decode(IN_HEADER, value, typed(b"Placed")) == Placed("o")


def test_a_type_that_is_not_declared_has_no_headers(codec: Codec) -> None:
    with pytest.raises(MessageInvalid, match=r"Simple is not declared for topic by\.header of app"):
        codec.event_headers(IN_HEADER, Simple)
    with pytest.raises(MessageInvalid, match=r"Placed is not declared for topic nowhere of app sh"):
        codec.encode_event("nowhere", Placed("o"))


def test_a_type_needs_a_schema_only_where_a_topic_is_in_avro(tmp_path: Path) -> None:
    in_json = Topic([Simple], "json", type_header="type")
    both = make_app(tmp_path / "no", events={IN_HEADER: in_json, BESIDE: [Simple]}, commands={})

    assert check_schemas(make_app(tmp_path / "no", events={IN_HEADER: in_json})) == []
    assert check_schemas(both) == [
        f"{tmp_path}/no is no folder; schemas=... of the App names the one with .avsc files",
        f"Simple: {tmp_path}/no has no zoo.Simple.avsc",
    ]


def test_one_topic_has_one_format_and_one_place_for_types(tmp_path: Path) -> None:
    app = make_app(
        tmp_path,
        events={"t": Topic([Placed], "json", type_header="type")},
        commands={"t": Topic({OneBilled: "n"}, "json", type_field="type")},
    )

    assert check_schemas(app) == ["topic t has one format for events and another for commands"]


def test_two_types_of_one_name_are_a_fault(tmp_path: Path) -> None:
    twin = msgspec.defstruct("Twin", [("n", int)], namespace={"__schema__": "shop.Placed"})
    app = make_app(tmp_path, events={"t": Topic([Placed, twin], "json", type_header="type")})

    assert check_schemas(app) == [
        "topic t: Placed and Twin both have the schema shop.Placed; a record of it could be either"
    ]
