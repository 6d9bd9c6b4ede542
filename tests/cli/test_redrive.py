"""`pmstream dead-letters redrive`: by today's code, once, and told as every order is."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.cli import loading
from pmstream.core.lifecycle import Condition
from pmstream.operate import orders
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import Pmstream
from tests.cli.operated import CODE, PM, WorkedClock
from tests.faults.kit import in_condition
from tests.runtime.clocked import ClockedWorld, make_app
from tests.runtime.world import Happened

READABLE, TWO, JUNK, FOREIGN = "0:0", "0:1", "0:2", "0:3"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClockedWorld]:
    """Four letters: readable by now, readable and of two processes, junk, and not from a source."""
    clock = WorkedClock()
    made = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=make_app())
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    made.count("a", [1])
    made.settle()
    one = made.codec.encode_event(made.source, Happened("a", "go", 7))
    both = made.codec.encode_event(made.source, Happened("a,b", "go", 8))
    writer = made.log.writer()
    letters = ((one, "world.events-1-5"), (both, "world.events-1-6"))
    for value, source in (
        *letters,
        (b"junk", "world.events-1-7"),
        (one, "world.counter.inbox-0-3"),
    ):
        headers = (("pm-source", source.encode()), ("pm-error", b"?"), ("mine", b"kept"))
        writer.produce(made.names.dead_letters, value, b"k", headers, partition=0)
    writer.flush(1)
    clock.work = made.turn
    yield made
    clock.work = None
    made.close()


def rows(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output)
    return found


def redrive(pmstream: Pmstream, *arguments: str) -> Any:
    return pmstream("dead-letters", "redrive", CODE, PM, *arguments, "-o", "json")


def test_without_yes_it_is_told_whom_each_would_reach(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    result = redrive(pmstream, READABLE, TWO, JUNK, FOREIGN)

    assert result.exit_code == 0, result.output
    would = [row["would"] for row in rows(result.stdout)]
    assert would == ["reach a", "reach a, b", "not be redriven", "not be redriven"]
    assert "2 dead letters would be redriven" in result.stderr
    assert orders.audit(world.log, world.names) == []


def test_a_redriven_event_is_handled_and_its_commands_have_the_ids_they_would_have_had(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    result = redrive(
        pmstream, READABLE, TWO, "--who", "ops", "--why", "the schema is here", "--yes"
    )

    assert result.exit_code == 0, result.output
    assert [(row["uuid"], row["verdict"]) for row in rows(result.stdout)] == [
        ("a", "accepted"),
        ("a", "accepted"),
        ("b", "accepted"),
    ]
    assert (world.counts("a"), world.counts("b")) == ([(1, 1), (7, 2), (8, 3)], [(8, 1)])
    headers = [dict(each.headers) for each in world.asked()]
    assert {each["command-id"] for each in headers} >= {
        b"a/world.events-1-5/0",
        b"a/world.events-1-6/0",
        b"b/world.events-1-6/0",
    }
    assert [each.get("mine") for each in headers].count(b"kept") == 3


def test_a_letter_is_redriven_once(pmstream: Pmstream, world: ClockedWorld) -> None:
    assert redrive(pmstream, READABLE, "--yes").exit_code == 0

    again = redrive(pmstream, READABLE, "--yes")

    assert again.exit_code == 1
    assert "0:0 is not redriven: it is done with: redriven by" in again.stderr
    assert world.counts("a") == [(1, 1), (7, 2)]
    left = pmstream("dead-letters", "list", CODE, PM, "-o", "json")
    assert [row["letter"] for row in rows(left.stdout)] == [TWO, JUNK, FOREIGN]


def test_what_cannot_be_read_still_is_told_and_stays_open(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    result = redrive(pmstream, JUNK, FOREIGN, "--yes")

    assert result.exit_code == 1
    assert "0:2 is not redriven: " in result.stderr
    assert "0:3 is not redriven: world.counter.inbox-0-3 is in no source topic" in result.stderr
    assert len(rows(pmstream("dead-letters", "list", CODE, PM, "-o", "json").stdout)) == 4


def test_it_waits_behind_what_is_parked(pmstream: Pmstream, world: ClockedWorld) -> None:
    world.count("a", [2], what="park")
    world.settle()

    assert redrive(pmstream, READABLE, "--yes").exit_code == 0

    assert in_condition(world, "a") is Condition.PARKED
    world.manager.healed = True
    assert pmstream("instances", "release", CODE, PM, "a", "--yes").exit_code == 0
    world.settle()
    assert world.counts("a") == [(1, 1), (2, 2), (7, 3)]


def test_the_audit_names_the_event_and_not_what_is_in_it(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    redrive(pmstream, READABLE, "--who", "ops", "--yes")

    [outcome] = orders.audit(world.log, world.names)
    history = rows(pmstream("instances", "history", CODE, PM, "a", "-o", "json").stdout)

    assert outcome.order.arguments == {"event": "world.events-1-5"}
    told = [row["detail"] for row in history if row["what"] == "outcome"]
    assert told == ["deliver accepted: idle → idle (deliver world.events-1-5 by ops)"]
