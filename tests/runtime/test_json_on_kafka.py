"""Topics in JSON on a real Kafka: events to commands, what cannot be read to the dead letters."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from pmstream import App, Topic
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from tests.runtime.world import Counter, Do, Happened, World

pytestmark = pytest.mark.kafka
PATIENCE = 90.0
TYPED = (("type", b"Happened"), ("tenant", b"t"))


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[World]:
    name = f"json{time.time_ns()}"
    app = App(
        name=name,
        schemas=tmp_path / "none",
        events={f"{name}.events": Topic([Happened], "json", type_header="type")},
        commands={f"{name}.commands": Topic({Do: "process"}, "json", type_field="kind")},
        process_managers=[Counter()],
    )
    log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6_000)
    made = World(log, tmp_path, SystemClock(), 2, app)
    made.start_all()
    yield made
    made.close()


UNREADABLE = {
    "no type": (b'{"process":"a","what":"go","n":9}', ()),
    "no JSON": (b"\xc3\x01abc", TYPED),
    "not UTF-8": (b'{"process":"\xff","what":"go","n":9}', TYPED),
    "another type of value": (b'{"process":"a","what":"go","n":"9"}', TYPED),
}


def test_json_events_become_json_commands_and_unreadable_ones_dead_letters(world: World) -> None:
    writer = world.writer
    world.produce(Happened("a", "go", 1), Happened("b", "go", 1), headers=TYPED)
    for value, headers in UNREADABLE.values():
        writer.produce(world.source, value, b"any", headers, partition=0)
    writer.flush(10)
    world.produce(Happened("a", "go", 2), headers=TYPED)

    deadline = time.monotonic() + PATIENCE
    while len(world.read(world.target)) < 3:
        assert time.monotonic() < deadline, world.told[-5:]
        world.turn(20)
    world.settle()

    commands = world.read(world.target)
    told = sorted(
        (each.key or b"", msgspec.json.decode(each.value or b"")["n"]) for each in commands
    )
    assert told == [(b"a", 1), (b"a", 2), (b"b", 1)]
    assert {msgspec.json.decode(each.value or b"")["kind"] for each in commands} == {"world.Do"}
    assert {dict(each.headers)["tenant"] for each in commands} == {b"t"}
    letters = world.read(world.names.dead_letters)
    assert [each.value for each in letters] == [value for value, _ in UNREADABLE.values()]
    assert all(dict(each.headers)["pm-error"] for each in letters)
