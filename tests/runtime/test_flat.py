"""The short cut for plain records says what fastavro says, or nothing; compiled or not."""

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
from pmstream.runtime.flat import plain_fields
from tests.flat_fixture import PREFIX, SCHEMA, Plain, Slowly, Twin, slowly

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
def test_it_writes_the_bytes_of_fastavro(twin: Twin, message: Plain) -> None:
    assert twin.write(message) == plainly(message)


@given(GOOD)
def test_it_reads_what_was_written_or_leaves_it(twin: Twin, message: Plain) -> None:
    found = twin.read(plainly(message))

    assert found == message or (found is None and abs(message.long) >= 2**60)


@given(GOOD, st.data())
def test_damaged_bytes_are_read_as_fastavro_reads_them_or_left(
    twin: Twin, message: Plain, data: st.DataObject
) -> None:
    good = plainly(message)
    at, skipped = data.draw(st.integers(len(PREFIX), len(good))), data.draw(st.integers(0, 3))
    damaged = good[:at] + data.draw(st.binary(max_size=3)) + good[at + skipped :]

    found = twin.read(damaged)

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
def test_what_is_not_plainly_right_goes_the_long_way(twin: Twin, field: str, value: object) -> None:
    good = {"text": "", "raw": b"", "short": 0, "long": 0, "yes": True, "real": 0.5}

    with pytest.raises(Slowly):
        twin.write(Plain(**{**good, field: value}))


EDGES = [sign * (1 << bits) + by for bits in range(63) for by in (-1, 0, 1) for sign in (1, -1)]


@pytest.mark.parametrize("behind", [0, 1, 2, 9], ids=lambda each: f"{each} bytes behind")
def test_a_number_of_any_length_is_as_fastavro_has_it(twin: Twin, behind: int) -> None:
    """Those of eight bytes are read at once, if so many are there: at the end they are not."""
    schema = {"type": "record", "name": "N", "fields": [{"name": "n", "type": "long"}]}
    fields = [("n", "long")]
    if behind:
        schema["fields"] += [{"name": "b", "type": "bytes"}]  # type: ignore[operator]
        fields += [("b", "bytes")]
    made = defstruct("N", [(name, Any) for name, _ in fields], frozen=True)
    write, read = twin.writer(fields, b"", slowly), twin.reader(fields, 0, made)
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


def test_records_of_many_and_of_large_fields(twin: Twin) -> None:
    names = [f"field{number}" for number in range(60)]
    fields = [(name, "string" if number % 2 else "long") for number, name in enumerate(names)]
    made = defstruct("Wide", [(name, Any) for name in names], frozen=True)
    write, read = twin.writer(fields, b"", slowly), twin.reader(fields, 0, made)
    message = made(*("é" * number if number % 2 else -number for number in range(60)))

    assert read(write(message)) == message
    assert read(write(message)[:-1]) is None
    with pytest.raises(Slowly):
        write(made(*([0] * 60)))


class Picky(Struct, frozen=True):
    """Refuses what the schema would allow."""

    n: int

    def __post_init__(self) -> None:
        if self.n < 0:
            raise ValueError("never below zero")
        if self.n == 7:
            raise KeyboardInterrupt


def test_what_the_type_refuses_is_for_the_long_way_but_an_interrupt_is_heard(twin: Twin) -> None:
    read = twin.reader([("n", "long")], 0, Picky)

    assert read(b"\4") == Picky(2)
    assert read(b"\3") is None
    with pytest.raises(KeyboardInterrupt):
        read(b"\16")


@pytest.mark.parametrize("value", [None, "text", bytearray(b"prefix\2"), b"pre", b""])
def test_what_are_no_bytes_or_too_few_is_for_the_long_way(twin: Twin, value: Any) -> None:
    assert twin.read(value) is None


def test_a_message_without_the_fields_goes_the_long_way(twin: Twin) -> None:
    with pytest.raises(Slowly):
        twin.write(Picky(1))


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
