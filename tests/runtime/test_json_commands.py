"""JSON topics: what is written, what cannot be, and the whole way from event to command."""

import datetime as dt
import math
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream import App, Topic
from pmstream.errors import CommandInvalid
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec, MessageInvalid
from pmstream.runtime.memory import MemoryLog
from tests.runtime.shop import IN_FIELD, OneBilled, Placed, make_app
from tests.runtime.world import Counter, Do, Happened, World
from tests.runtime.zoo import Kind


@pytest.fixture(scope="module")
def codec(tmp_path_factory: pytest.TempPathFactory) -> Codec:
    return Codec(make_app(tmp_path_factory.mktemp("none") / "avro"))


MESSAGES = st.builds(
    Placed,
    order=st.text(min_size=1),
    n=st.integers(),
    price=st.none() | st.decimals(allow_nan=False, allow_infinity=False),
    at=st.none() | st.datetimes(timezones=st.just(dt.UTC)),
    id=st.none() | st.uuids(),
    raw=st.binary(),
    kind=st.sampled_from(Kind),
    tags=st.frozensets(st.text()),
    rates=st.dictionaries(st.text(), st.floats(allow_nan=False, allow_infinity=False)),
    from_=st.text(),
)


@given(MESSAGES)
def test_what_is_written_comes_back(codec: Codec, message: Placed) -> None:
    command = codec.encode_command(message)
    event = codec.encode_event(IN_FIELD, message)

    assert command.headers == (("kind", b"shop.Placed"),)
    assert codec.decode_command("ship", command.value, command.headers) == message
    assert codec.decode(IN_FIELD, event) == message


def test_a_command_with_a_type_field_carries_no_header(codec: Codec) -> None:
    command = codec.encode_command(OneBilled(7))

    assert (command.key, command.value) == (b"7", b'{"kind":"a.Billed","n":7}')
    assert command.headers == ()
    assert codec.decode_command("bill", command.value) == OneBilled(7)


def test_the_order_of_sets_and_maps_does_not_reach_the_bytes(codec: Codec) -> None:
    once = Placed("o", tags=frozenset("abcdef"), rates={"b": 1.0, "a": 2.0})
    again = Placed("o", tags=frozenset("fedcba"), rates={"a": 2.0, "b": 1.0})

    assert codec.encode_command(once) == codec.encode_command(again)
    assert b'"tags":["a","b","c","d","e","f"]' in codec.encode_command(once).value


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "int for text": ({"order": 5}, "field order: Expected `str`, got `int`"),
    "bytes for text": ({"order": b"o"}, "field order: Expected `str`, got `bytes`"),
    "UUID for text": ({"order": UUID(int=1)}, "field order: Expected `str`, got `uuid`"),
    "bool for int": ({"n": True}, "field n: Expected `int`, got `bool`"),
    "float for Decimal": ({"price": 1.5}, "field price: Expected `decimal | null`, got `float`"),
    "text for bytes": ({"raw": "cg=="}, "field raw: Expected `bytes`, got `str`"),
    "not a number": ({"rates": {"a": math.nan}}, r"field rates\[...\]: Expected `float`, got"),
    "infinite": ({"rates": {"a": math.inf}}, r"field rates\[...\]: Expected `float`, got"),
    "half a surrogate": ({"order": "\ud800"}, "'utf-8' codec can't encode"),
    "unheard of": ({"n": object()}, "object"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_field_makes_a_command_invalid(codec: Codec, case: str) -> None:
    changes, said = WRONG[case]
    bad = msgspec.structs.replace(Placed("o"), **changes)

    with pytest.raises(CommandInvalid, match=f"Placed for topic ship: .*{said}"):
        codec.encode_command(bad)
    with pytest.raises(MessageInvalid, match=rf"Placed for topic by\.field: .*{said}"):
        codec.encode_event(IN_FIELD, bad)


def test_events_in_json_become_commands_in_json(tmp_path: Path) -> None:
    app = App(
        name="world",
        events={"world.events": Topic([Happened], "json", type_header="type")},
        commands={"world.commands": Topic({Do: "process"}, "json", type_header="type")},
        process_managers=[Counter()],
    )
    clock = VirtualClock()
    world = World(MemoryLog(clock), tmp_path, clock, app=app)
    world.start_all()

    world.produce(Happened("a", "go", 1), headers=(("type", b"Happened"), ("tenant", b"t")))
    world.produce(Happened("a", "go", 2), headers=(("type", b"world.Gone"),))
    world.produce(Happened("a", "go", 3))
    world.settle()
    world.close()

    [command] = world.read("world.commands")
    assert command.value == b'{"process":"a","n":1,"count":1}'
    assert dict(command.headers)["tenant"] == b"t"
    assert [each for each in command.headers if each[0] == "type"] == [("type", b"world.Do")]
    [letter] = world.read(world.names.dead_letters)
    assert b"has nothing in its header 'type'" in (dict(letter.headers)["pm-error"] or b"")
