"""Schema files of a stranger: each is refused with a sentence, soon, or is good to work with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.errors import ConfigurationError
from pmstream.runtime.avro import schemas_in
from pmstream.runtime.codec import Codec, check_schemas
from pmstream.runtime.schema_limits import MAX_SCHEMA_BYTES, MAX_SCHEMA_DEPTH, MAX_SCHEMA_TYPES
from tests.runtime import zoo
from tests.runtime.zoo import logical, make_registry_app, record


def bomb(layers: int) -> dict[str, Any]:
    """Each record holds the one before ten times."""
    made: Any = record("zoo.L", ("v", "int"))
    for number in range(layers):
        before = made["name"]
        others = [(f"f{each}", before) for each in range(9)]
        made = record(f"zoo.L{number}", ("f", made), *others)
    return {**made, "name": "zoo.Bomb"}


def nested(depth: int) -> dict[str, Any]:
    made: Any = "int"
    for _ in range(depth):
        made = {"type": "array", "items": made}
    return record("zoo.Nested", ("a", made))


def chained(length: int) -> dict[str, Any]:
    """Records that name each other: flat as text, deep once written out."""
    made: Any = record("zoo.C0", ("v", "int"))
    for number in range(1, length):
        made = record(f"zoo.C{number}", ("v", made))
    return {**made, "name": "zoo.Chained"}


def field(type_: Any, **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": "zoo.T", "fields": [{"name": "a", "type": type_, **more}]}


INNER = {"type": "record", "name": "zoo.Inner", "fields": []}
HOSTILE = {
    "a bomb": (bomb(9), f"{MAX_SCHEMA_TYPES} may be"),
    "deep text": ("[" * 100_000, "recursion"),
    "deep objects": ('{"type":' * 100_000, "recursion"),
    "deep types": (nested(MAX_SCHEMA_DEPTH), f"deeper than {MAX_SCHEMA_DEPTH} times"),
    "very deep types": (nested(900), ""),
    "deep by names": (chained(MAX_SCHEMA_DEPTH), f"deeper than {MAX_SCHEMA_DEPTH} times"),
    "large": ('{"doc": "' + "x" * MAX_SCHEMA_BYTES + '"}', f"{MAX_SCHEMA_BYTES} may be"),
    "many fields": (record("zoo.T", *((f"a{n}", "int") for n in range(10_000))), "10000 may be"),
    "recursive": (field(["null", "zoo.T"]), "contains itself"),
    "no UTF-8": (b"\xff\xfe{", "utf-8"),
    "empty": ("", "line 1"),
    "no object": ("[]", "no record"),
    "fields that are none": ({"type": "record", "name": "zoo.T", "fields": 5}, ""),
    "a type that is none": (field(5), ""),
    "an unknown type": (field("../../secret"), ""),
    "aliases that are none": ({**field("int"), "aliases": 5}, "no list of names"),
    "aliases of a field": (field("int", aliases=[5]), "no list of names"),
    "no union": (field([]), "union"),
    "a union in a union": (field([["int"]]), "union"),
    "a field twice": (record("zoo.T", ("a", "int"), ("a", "int")), "two fields of one name"),
    "items of nothing": (field({"type": "array", "items": "null"}), "take no bytes"),
    "items of empty records": (field({"type": "array", "items": INNER}), "take no bytes"),
    "a negative size": (field({"type": "fixed", "name": "F", "size": -1}), "size of"),
    "a huge size": (field({"type": "fixed", "name": "F", "size": 2**70}), "size of"),
    "no size": (field({"type": "fixed", "name": "F", "size": "x"}), "size of"),
    "many digits": (field(logical("bytes", "decimal", precision=10**9)), "1000 digits"),
    "no scale": (field(logical("bytes", "decimal", precision=9, scale="x")), ""),
    "a late day": (field(logical("int", "date"), default=10**12), "the default of field 'a'"),
    "no UUID": (field(logical("string", "uuid"), default="x"), "the default of field 'a'"),
    "a mark of fastavro": ({**field({"type": {}}), "__fastavro_parsed__": True}, "unread"),
    "names of fastavro": ({**field("int"), "__named_schemas": {"x": 5}}, "unread"),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("folder", ["", "previous/"])
def test_a_file_that_is_no_schema_to_work_with_is_named(
    tmp_path: Path, what: str, folder: str
) -> None:
    content, said = HOSTILE[what]
    zoo.write(tmp_path)
    text = content if isinstance(content, str | bytes) else json.dumps(content)
    raw = text if isinstance(text, bytes) else text.encode()
    (tmp_path / f"{folder}hostile.avsc").write_bytes(raw)

    known, faults = schemas_in(tmp_path)

    assert len(faults) == 1
    assert faults[0].startswith(f"{tmp_path}/{folder}hostile.avsc: ")
    assert said in faults[0]
    assert len(faults[0]) < 500
    assert set(known) == set(zoo.SCHEMAS)


@pytest.mark.parametrize(
    "text",
    [
        b"5",
        b"[]",
        b"[" * 100_000,
        b"\xff",
        b'{"-1": "zoo.Simple"}',
        b'{"4294967296": "zoo.Simple"}',
        b'{"1.5": "zoo.Simple"}',
        b'{"' + b"1" * 5_000 + b'": "zoo.Simple"}',
        b'{"1": ["zoo.Simple"]}',
        b'{"1": {}}',
        b'{"1": null}',
    ],
    ids=lambda text: repr(text[:20]),
)
def test_ids_that_are_none_are_told(tmp_path: Path, text: bytes) -> None:
    app = make_registry_app(zoo.write(tmp_path), {7: "zoo.Simple"})
    (tmp_path / "ids.json").write_bytes(text)

    faults = check_schemas(app)

    assert faults[0].startswith(f"{tmp_path}/ids.json: not ")


def places(schema: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Ways to everything within a schema."""
    yield path
    inner: Any = schema.items() if isinstance(schema, dict) else ()
    for key, each in enumerate(schema) if isinstance(schema, list) else inner:
        yield from places(each, (*path, key))


ODD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["null", "int", "bytes", "record", "array", "map", "enum", "fixed", "Money"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "name", "items", "values", "fields", "default", "aliases", "size"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=6,
)


@given(data=st.data())
def test_a_damaged_schema_is_refused_or_works(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever stands there: sentences, or a codec that reads and writes what it did before."""
    schemas = json.loads(json.dumps(zoo.SCHEMAS))
    name = data.draw(st.sampled_from(["zoo.Flat", "zoo.Deep"]))
    way = data.draw(st.sampled_from([*places(schemas[name])][1:]))
    inner = schemas[name]
    for key in way[:-1]:
        inner = inner[key]
    inner[way[-1]] = data.draw(ODD)
    damaged = schemas.pop(name)
    where = data.draw(st.sampled_from([name, "previous/old"]))
    folder = zoo.write(
        tmp_path_factory.mktemp("schemas"), {**zoo.SCHEMAS, **schemas, where: damaged}
    )

    app = zoo.make_app(folder)
    faults = check_schemas(app)

    if faults:
        with pytest.raises(ConfigurationError):
            Codec(app)
        return
    codec = Codec(app)
    for message in (zoo.A_FLAT, zoo.A_DEEP):
        value = codec.encode_event(zoo.EVENTS, message)
        assert codec.decode(zoo.EVENTS, value) == message
