"""`pmstream instances history`: one line of all that happened to a process."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.cli import loading
from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import Pmstream
from tests.cli.operated import CODE, PM, WorkedClock
from tests.runtime.clocked import FIRED, TIMER_SECONDS, ClockedWorld, make_app
from tests.runtime.world import Happened

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01".encode()


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClockedWorld]:
    """Process a: one traced event, one that is parked, one behind; and a neighbour."""
    clock = WorkedClock()
    made = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=make_app())
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    made.produce(Happened("a", "go", 1), headers=(("traceparent", TRACEPARENT),))
    made.count("neighbour", range(3))
    made.count("a", [2], what="park")
    made.settle()
    made.count("a", [3])
    made.settle()
    clock.work = made.turn
    yield made
    clock.work = None
    made.close()


def history(pmstream: Pmstream, *options: str, uuid: str = "a") -> list[dict[str, Any]]:
    result = pmstream("instances", "history", CODE, PM, uuid, *options, "-o", "json")
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


def of(rows: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["what"] == what]


def release(world: ClockedWorld) -> None:
    world.manager.healed = True
    made = orders.make(Verb.RELEASE, ["a"], {}, "ops", "it is mended", world.clock.now())
    orders.give(world.log, world.names, made)
    world.settle()


def test_events_commands_conditions_and_orders_stand_in_one_line_of_time(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    release(world)

    rows = history(pmstream)

    assert [row["time"] for row in rows] == sorted(row["time"] for row in rows)
    assert [row["detail"] for row in of(rows, "event")] == [
        "Happened: start with world.events-0-0",
        "Happened: start with world.events-0-4",
        "Happened: start with world.events-0-5",
    ]
    assert [row["detail"].split(",")[0] for row in of(rows, "command")] == [
        f"Do: a/world.events-0-{offset}/0" for offset in (0, 4, 5)
    ]
    parked = [row for row in of(rows, "instance") if row["detail"].startswith("parked")]
    assert parked[0]["detail"] == "parked at world.events-0-4: Oops: park"
    assert parked[0]["attempts"] == 1
    assert parked[1]["detail"].endswith("; 1 wait behind")
    [given], [outcome] = of(rows, "order"), of(rows, "outcome")
    assert given["detail"] == "release by ops: it is mended"
    assert outcome["detail"].startswith("release accepted: parked → ")
    assert rows.index(parked[0]) < rows.index(given) < rows.index(outcome)
    assert all(row["position"].startswith("world.") for row in rows)


def test_trace_ids_are_told_of_event_and_command(pmstream: Pmstream, world: ClockedWorld) -> None:
    rows = history(pmstream)

    assert [row["what"] for row in rows if row["trace"] == TRACE] == ["event", "command"]
    assert {row["trace"] for row in rows} == {TRACE, None}


def test_payloads_are_hidden_unless_they_are_asked_for(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    hidden, shown = history(pmstream), history(pmstream, "--payloads")

    assert all("payload" not in row for row in hidden)
    assert of(shown, "event")[0]["payload"] == {"process": "a", "what": "go", "n": 1}
    assert of(shown, "command")[0]["payload"] == {"process": "a", "n": 1, "count": 1}


def test_an_order_without_an_outcome_is_told(pmstream: Pmstream, world: ClockedWorld) -> None:
    world.workers.pop("w-0").close()
    pmstream("instances", "release", CODE, PM, "a", "--who", "ops", "--yes", "--timeout", "0")

    [given] = of(history(pmstream), "order")

    assert given["detail"] == "release by ops; no outcome yet"


def test_a_refused_order_is_told_with_its_reason(pmstream: Pmstream, world: ClockedWorld) -> None:
    pmstream("timers", "fire", CODE, PM, "a", "it", "--who", "ops", "--yes")

    [outcome] = of(history(pmstream), "outcome")

    assert outcome["detail"] == ("fire refused: it has no timer 'it'; it has none (fire it by ops)")


def test_timers_are_told_as_they_are_set_and_gone(pmstream: Pmstream, world: ClockedWorld) -> None:
    world.count("t", [1], what="timer")
    world.settle(lambda: world.counts("t") == [(1, 1)])
    world.clock.sleep(TIMER_SECONDS)
    world.settle(lambda: len(world.counts("t")) == 2)
    world.settle()

    rows = history(pmstream, uuid="t")

    details = [row["detail"] for row in of(rows, "timer")]
    assert details[0].startswith("it is set, due 20")
    assert details[-1].startswith("it is gone")
    assert "/timer-it-1/0" in of(rows, "command")[-1]["detail"]
    assert world.counts("t")[-1] == (FIRED, 1)


def test_nothing_is_read_from_before_since(pmstream: Pmstream, world: ClockedWorld) -> None:
    world.clock.sleep(7_200)
    world.count("a", [4])
    world.settle()

    recent = history(pmstream, "--since", "1h")
    whole = history(pmstream)

    assert [row["detail"] for row in of(recent, "event")] == [
        "Happened: start with world.events-0-6"
    ]
    assert of(recent, "command") == []
    assert len(of(whole, "event")) == 4


def test_the_last_lines_are_shown_and_the_limit_told(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    whole = history(pmstream)

    result = pmstream("instances", "history", CODE, PM, "a", "--limit", "2", "-o", "json")

    assert json.loads(result.stdout) == whole[-2:]
    assert f"{len(whole)} lines, the last 2 are shown" in result.stderr


@pytest.mark.parametrize(
    ("uuid", "options", "code", "text"),
    [
        ("nobody", (), 1, "nothing is there of process nobody"),
        ("a", ("--since", "yesterday"), 2, "which is no time"),
        ("a", ("--since", "2026-01-31"), 2, "has no time zone"),
        ("a", ("--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_told_is_said(
    pmstream: Pmstream,
    world: ClockedWorld,
    uuid: str,
    options: tuple[str, ...],
    code: int,
    text: str,
) -> None:
    result = pmstream("instances", "history", CODE, PM, uuid, *options)

    assert result.exit_code == code
    assert text in result.stderr


def test_a_header_that_is_no_traceparent_is_no_trace(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    world.produce(Happened("x", "go", 1), headers=(("traceparent", b"\xff00-nonsense"),))
    world.settle()

    assert {row["trace"] for row in history(pmstream, uuid="x")} == {None}
