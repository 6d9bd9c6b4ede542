"""Schema files: what is wrong with them, and the records of older ones."""

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from pmstream.runtime.codec import Codec, check_schemas
from tests.runtime import zoo
from tests.runtime.zoo import Card, Simple

T = "zoo.T"
DEEP = [tuple(each.values()) for each in zoo.DEEP["fields"]]

OLDER: dict[str, tuple[Any, dict[str, Any], Struct]] = {
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
        zoo.record("zoo.Deep", *DEEP[:8]),
        {"kind": "CARD", "total": {"units": 5}, "lines": [], "rates": {}, "moments": {}}
        | {"means": ("zoo.Card", {"number": "1"}), "code": b"code", "from": "sender"},
        zoo.A_DEEP,
    ),
    "defaults that JSON cannot say, resolved": (
        zoo.record(
            "zoo.Deep",
            *DEEP[:3],
            ("rates", {"type": "map", "values": "long"}),
            *DEEP[4:8],
        ),
        {"kind": "CARD", "total": {"units": 5}, "lines": [], "rates": {}, "moments": {}}
        | {"means": ("zoo.Card", {"number": "1"}), "code": b"code", "from": "sender"},
        zoo.A_DEEP,
    ),
}


@pytest.mark.parametrize("difference", OLDER)
def test_an_older_writer_is_read_as_today(difference: str, tmp_path: Path) -> None:
    older, fields, expected = OLDER[difference]
    zoo.write(tmp_path, zoo.SCHEMAS | {"previous/older": older})
    codec = Codec(zoo.make_app(tmp_path))

    assert codec.decode(zoo.EVENTS, zoo.framed(older, fields)) == expected


def test_a_missing_folder_is_a_fault(tmp_path: Path) -> None:
    found = check_schemas(zoo.make_app(tmp_path / "avro", events={"t": [Simple]}, commands={}))

    assert found == [
        f"{tmp_path}/avro is no folder; schemas=... of the App names the one with .avsc files",
        f"Simple: {tmp_path}/avro has no zoo.Simple.avsc",
    ]


FILES: dict[str, tuple[dict[str, Any], str]] = {
    "no JSON": ({T: "{"}, r"zoo\.T\.avsc: not an Avro schema: .*double quotes"),
    "no object": ({T: '"string"'}, r"zoo\.T\.avsc: not an Avro schema: it is no record"),
    "no type": ({T: {"name": T}}, r"zoo\.T\.avsc: not an Avro schema: KeyError: 'type'"),
    "unknown type": (
        {T: zoo.record(T, ("a", "strin"))},
        r"zoo\.T\.avsc: not an Avro schema: .*strin",
    ),
    "wrong default": (
        {T: zoo.record(T, ("a", "long", "x"))},
        r"zoo\.T\.avsc: not an Avro schema: Default value <x> must match schema type: long",
    ),
    "wrong file name": (
        {T: zoo.record("zoo.U", ("a", "long"))},
        r"zoo\.T\.avsc: holds zoo\.U; name the file zoo\.U\.avsc",
    ),
    "recursion": (
        {T: zoo.record(T, ("a", ["null", "T"]))},
        r"zoo\.T\.avsc: zoo\.T contains itself; such schemas are not supported",
    ),
    "previous that leans on others": (
        {"previous/T-1": zoo.record(T, ("a", "zoo.Card"))},
        r"previous/T-1\.avsc: not an Avro schema: .*zoo\.Card",
    ),
    "previous that today cannot read": (
        {T: zoo.record(T, ("a", "long")), "previous/T-1": zoo.record(T)},
        r"previous/T-1\.avsc: today's zoo\.T cannot read it: field a is new and has no default",
    ),
    "previous of another type": (
        {T: zoo.record(T, ("a", "long")), "previous/T-1": zoo.record(T, ("a", "string"))},
        r"previous/T-1\.avsc: today's zoo\.T cannot read it: field a was string, which long cannot",
    ),
}


@pytest.mark.parametrize("fault", FILES)
def test_a_file_at_fault_is_named(tmp_path: Path, fault: str) -> None:
    schemas, said = FILES[fault]

    found = zoo.faults(tmp_path, schemas, zoo.a_type(a=int))

    assert re.search(said, found[0])


def test_types_may_stand_in_files_of_their_own(tmp_path: Path) -> None:
    schemas = {
        T: zoo.record(T, ("a", "zoo.Card")),
        "zoo.Card": zoo.record("zoo.Card", ("number", "string")),
    }

    assert zoo.faults(tmp_path, schemas, zoo.a_type(a=Card)) == []
