"""The short cut for plain records says what fastavro says, or nothing."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import pytest
from fastavro import schemaless_reader, schemaless_writer
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct, defstruct
from msgspec.structs import asdict

from pmstream import App, ProcessManager
from pmstream.errors import Undecodable
from pmstream.runtime.codec import Codec, MessageInvalid
from pmstream.runtime.flat import plain_fields, quick_reader, quick_writer

TYPES = {"text": "string", "raw": "bytes", "short": "int", "long": "long", "yes": "boolean"}
TYPES["real"] = "double"
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "test.Plain",
    "fields": [{"name": name, "type": type_} for name, type_ in TYPES.items()],
}
PREFIX = b"prefix"


class Plain(Struct, frozen=True):
    """One field of each plain type."""

    __schema__: ClassVar[str] = "test.Plain"
    text: Any
    raw: Any
    short: Any
    long: Any
    yes: Any
    real: Any


class Slowly(Exception):
    """The long way was gone."""


def slowly(_message: object) -> bytes:
    raise Slowly


FIELDS = plain_fields(SCHEMA)
assert FIELDS is not None
WRITE = quick_writer(FIELDS, PREFIX, slowly)
READ = quick_reader(FIELDS, len(PREFIX), Plain)

GOOD = st.builds(
    Plain,
    text=st.text(st.characters(exclude_categories=["Cs"])) | st.just("é" * 9_000),
    raw=st.binary(max_size=200),
    short=st.integers(-(2**31), 2**31 - 1),
    long=st.integers(-(2**63), 2**63 - 1),
    yes=st.booleans(),
    real=st.floats(allow_nan=False),
)


def plainly(message: Plain) -> bytes:
    stream = BytesIO()
    schemaless_writer(stream, SCHEMA, asdict(message))
    return PREFIX + stream.getvalue()


@given(GOOD)
def test_it_writes_the_bytes_of_fastavro(message: Plain) -> None:
    assert WRITE(message) == plainly(message)


@given(GOOD)
def test_it_reads_what_was_written_or_leaves_it(message: Plain) -> None:
    found = READ(plainly(message))

    assert found == message or (found is None and abs(message.long) >= 2**60)


@given(GOOD, st.data())
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_left(
    message: Plain, data: st.DataObject
) -> None:
    good = plainly(message)
    at, skipped = data.draw(st.integers(len(PREFIX), len(good))), data.draw(st.integers(0, 3))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + skipped :]

    found = READ(damaged)

    if found is not None:
        stream = BytesIO(damaged[len(PREFIX) :])
        fields: Any = schemaless_reader(stream, SCHEMA, None)
        assert asdict(found) == fields
        assert not stream.read()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", 5),
        ("text", None),
        ("text", "\ud800"),
        ("raw", "text"),
        ("raw", bytearray(b"x")),
        ("short", 2**31),
        ("short", -(2**31) - 1),
        ("short", True),
        ("short", 1.0),
        ("long", 2**63),
        ("long", -(2**63) - 1),
        ("yes", 1),
        ("real", 1),
    ],
)
def test_what_is_not_plainly_right_goes_the_long_way(field: str, value: object) -> None:
    good = {"text": "", "raw": b"", "short": 0, "long": 0, "yes": True, "real": 0.5}

    with pytest.raises(Slowly):
        WRITE(Plain(**{**good, field: value}))


EDGES = [sign * (1 << bits) + by for bits in range(63) for by in (-1, 0, 1) for sign in (1, -1)]


@pytest.mark.parametrize("behind", [0, 1, 2, 9], ids=lambda each: f"{each} bytes behind")
def test_a_number_of_any_length_is_as_fastavro_has_it(behind: int) -> None:
    """Those of eight bytes are read at once, if so many are there: at the end they are not."""
    schema = {"type": "record", "name": "N", "fields": [{"name": "n", "type": "long"}]}
    fields = [("n", "long")]
    if behind:
        schema["fields"] += [{"name": "b", "type": "bytes"}]  # type: ignore[operator]
        fields += [("b", "bytes")]
    made = defstruct("N", [(name, Any) for name, _ in fields], frozen=True)
    write, read = quick_writer(fields, b"", slowly), quick_reader(fields, 0, made)
    tail = (b"\xff" * (behind - 1),) if behind else ()

    for number in [*EDGES, 2**63 - 1, -(2**63)]:
        stream = BytesIO()
        schemaless_writer(stream, schema, dict(zip("nb", (number, *tail), strict=False)))
        value = stream.getvalue()
        assert write(made(number, *tail)) == value
        assert read(value) in {made(number, *tail), None}
        if len(value) - behind < 10:  # a tenth byte is for the long way
            assert read(value) == made(number, *tail)
        for size in range(len(value)):
            assert read(value[:size]) is None


@pytest.mark.parametrize("odd", [["null", "string"], {"type": "long"}, "float", "other.Name"])
def test_other_types_have_no_short_cut(odd: object) -> None:
    fields = [{"name": "a", "type": "string"}, {"name": "b", "type": odd}]

    assert plain_fields({"fields": fields}) is None


class Nothing(Struct, frozen=True):
    """No state."""


class Named(Struct, frozen=True):
    """A plain event."""

    __schema__: ClassVar[str] = "test.Named"
    name: str
    number: int


class Naming(ProcessManager[Nothing]):
    """Knows nothing."""

    name, state = "naming", Nothing

    def interested(self, event: Named) -> None:
        """Nothing concerns it."""


def test_the_codec_still_says_what_is_wrong(tmp_path: Path) -> None:
    fields = [{"name": "name", "type": "string"}, {"name": "number", "type": "int"}]
    schema = {"type": "record", "name": "Named", "namespace": "test", "fields": fields}
    (tmp_path / "test.Named.avsc").write_text(json.dumps(schema))
    app = App(
        name="a",
        schemas=tmp_path,
        events={"named": [Named]},
        commands={},
        process_managers=[Naming()],
    )
    codec = Codec(app)
    value = codec.encode_event("named", Named("n", 7))

    assert codec.decode("named", value) == Named("n", 7)
    with pytest.raises(MessageInvalid, match="field number"):
        codec.encode_event("named", Named("n", 2**31))
    with pytest.raises(Undecodable, match="no whole Named"):
        codec.decode("named", value[:-1])
    with pytest.raises(Undecodable, match="1 bytes after"):
        codec.decode("named", value + b"x")
