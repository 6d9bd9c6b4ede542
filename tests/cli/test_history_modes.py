"""`pmstream instances history` in direct mode, and of confirmed commands."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.app import App
from pmstream.cli import loading
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from tests.cli import operated
from tests.cli.conftest import Pmstream
from tests.cli.operated import PM, WorkedClock
from tests.runtime.clocked import ClockedWorld
from tests.runtime.direct_world import Direct
from tests.runtime.world import World

Make = Callable[[type[World], App], World]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Make]:
    made: list[World] = []

    def make(kind: type[World], app: App) -> World:
        clock = WorkedClock()
        world = kind(MemoryLog(clock), tmp_path, clock, app=app)
        monkeypatch.setattr(loading, "_kafka", lambda _settings: world.log)
        monkeypatch.setattr(loading, "_clock", lambda: clock)
        made.append(world)
        world.start_all()
        return world

    yield make
    for world in made:
        world.close()


def history(pmstream: Pmstream, app: str, what: str) -> list[dict[str, Any]]:
    result = pmstream("instances", "history", f"tests.cli.operated:{app}", PM, "a", "-o", "json")
    assert result.exit_code == 0, result.output
    return [row for row in json.loads(result.stdout) if row["what"] == what]


def test_in_direct_mode_events_are_those_of_the_source(pmstream: Pmstream, make: Make) -> None:
    world = make(Direct, operated.direct)
    world.count("a", [1, 2])
    world.count("b", [3])
    world.settle()

    events = history(pmstream, "direct", "event")

    number = murmur2_partition(b"a", 3)
    places = [row["position"].rpartition("-")[0] for row in events]
    assert places == [f"world.events-{number}"] * 2
    assert [row["detail"] for row in events] == ["Happened", "Happened"]


def test_replies_to_confirmed_commands_are_told(pmstream: Pmstream, make: Make) -> None:
    world = make(ClockedWorld, operated.confirmed)
    assert isinstance(world, ClockedWorld)
    world.count("a", [1])
    world.settle(lambda: len(world.asked()) == 1)
    world.reply(world.asked()[0], accepted=False, reason="no money")
    world.settle()

    [reply] = history(pmstream, "confirmed", "reply")
    awaiting = history(pmstream, "confirmed", "instance")[0]

    assert reply["detail"] == "rejected: a/world.events-0-0/0"
    assert awaiting["detail"].startswith("awaiting at world.events-0-0")
