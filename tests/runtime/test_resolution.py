"""Resolution against the library's own, which resolves anew for each record."""

from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.schema import expand_schema
from fastavro.utils import generate_one
from hypothesis import given
from hypothesis import strategies as st

from pmstream.runtime.resolution import PARTIAL, PROMOTIONS, Misfit, resolve
from pmstream.runtime.schemas import TAG
from tests.runtime import zoo

SCALARS = ["null", "boolean", "int", "long", "float", "double", "string", "bytes"]
SAME = [(each, each) for each in SCALARS if each != "null"]
PROMOTED = [
    (writer, reader)
    for writer, readers in PROMOTIONS.items()
    for reader in readers
    if writer != "bytes"  # the library's samples of bytes are no text
]
Pair = tuple[Any, Any]


def optional(pair: Pair) -> Pair:
    return ["null", pair[0]], [pair[1], "null"]


def made_optional(pair: Pair) -> Pair:
    return pair[0], ["null", pair[1]]


def array(pair: Pair) -> Pair:
    return tuple({"type": "array", "items": each} for each in pair)  # type: ignore[return-value]


def values(pair: Pair) -> Pair:
    return tuple({"type": "map", "values": each} for each in pair)  # type: ignore[return-value]


def enums(known: list[str]) -> Pair:
    return tuple(
        {"type": "enum", "name": f"E{len(known)}", "symbols": each}
        for each in (known[:2], sorted(known, reverse=True))
    )  # type: ignore[return-value]


PLAIN = st.sampled_from(SAME + PROMOTED)
PAIRS = st.recursive(
    PLAIN,
    lambda inner: inner.map(array) | inner.map(values),
    max_leaves=2,
).flatmap(lambda pair: st.sampled_from([pair, optional(pair), made_optional(pair)]))
ENUMS = st.sampled_from([enums(["LOW", "MID", "HIGH"]), optional(enums(["A", "B"]))])


@given(st.lists(PAIRS | PLAIN, min_size=1, max_size=4), ENUMS, st.sampled_from(SAME))
def test_what_resolves_reads_as_the_library_reads_it(
    pairs: list[Pair], enum: Pair, gone: Pair
) -> None:
    named = list(enumerate([*pairs, enum]))
    inner = zoo.record("zoo.In", *((f"f{number}", each) for number, (each, _) in named))
    outer = zoo.record("zoo.In", *((f"f{number}", each) for number, (_, each) in reversed(named)))
    writer: Any = parse_schema(zoo.record("zoo.T", ("gone", gone[0]), ("in", inner), ("n", "int")))
    reader: Any = parse_schema(zoo.record("zoo.T", ("n", "double"), ("in", outer)))
    stream = BytesIO()
    schemaless_writer(stream, writer, generate_one(writer))

    change, faults = resolve(expand_schema(writer), expand_schema(reader))

    assert faults == []
    ours = schemaless_reader(BytesIO(stream.getvalue()), writer, None, return_named_type=True)
    theirs = schemaless_reader(BytesIO(stream.getvalue()), writer, reader)
    assert change(ours) == theirs


def test_faults_are_named_by_kind_path_and_both_sides() -> None:
    writer = zoo.record("zoo.T", ("a", {"type": "map", "values": ["null", "long"]}))
    reader = zoo.record("zoo.T", ("a", {"type": "map", "values": "int"}), ("b", "int"))

    _, faults = resolve(writer, reader)

    assert faults == [
        Misfit("branch", "a{}", "null"),
        Misfit("branch", "a{}", "long"),
        Misfit("missing", "b"),
    ]
    assert [each.kind in PARTIAL for each in faults] == [True, True, False]


def test_a_branch_that_is_alike_goes_before_one_that_could_read_it() -> None:
    change, faults = resolve(["null", "long"], ["null", "double", "long"])

    assert faults == []
    assert repr(change(7)) == "7"


def test_a_record_goes_into_the_branch_of_its_full_name() -> None:
    cards = [zoo.record(name, ("number", "string")) for name in ("a.Card", "b.Card", "b.Other")]

    change, faults = resolve(cards[1], ["null", *cards])

    assert faults == []
    assert change({"number": "1"}) == {"number": "1", TAG: "b.Card"}
