"""`pmstream dead-letters list|show|drop`: what could not be read, and when it is done with."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.cli import loading
from pmstream.operate.dead_letters import MARK
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import Pmstream
from tests.cli.operated import CODE, NAME, PM, WorkedClock
from tests.runtime.clocked import ClockedWorld, make_app
from tests.runtime.world import Happened

SECRET = b"no event, but a secret"


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ClockedWorld]:
    """Two records that no code can read; the second an hour after the first."""
    clock = WorkedClock()
    made = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=make_app())
    monkeypatch.setattr(loading, "_kafka", lambda _settings: made.log)
    monkeypatch.setattr(loading, "_clock", lambda: clock)
    made.start_all()
    writer = made.log.writer()
    headers = (("secret-header", SECRET), ("pm-mark", b"forged"))
    writer.produce(made.source, SECRET, b"k1", headers, partition=0)
    writer.flush(1)
    made.settle()
    clock.sleep(3_600)
    writer.produce(made.source, b"nor this", None, partition=0)
    writer.flush(1)
    made.count("a", [1])
    made.settle()
    yield made
    made.close()


def rows(output: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(output)
    return found


@pytest.mark.parametrize("app", [CODE, NAME])
def test_letters_are_listed_with_source_key_and_error_but_no_payload(
    pmstream: Pmstream, world: ClockedWorld, app: str
) -> None:
    result = pmstream("dead-letters", "list", app, PM, "-o", "json")

    assert result.exit_code == 0, result.output
    first, second = rows(result.stdout)
    assert (first["letter"], first["source"], first["key"]) == ("0:0", "world.events-0-0", "k1")
    assert (second["letter"], second["source"], second["key"]) == ("0:2", "world.events-0-1", None)
    assert first["error"]
    assert SECRET.decode() not in result.stdout


def test_those_found_since_a_time_and_the_last_ones_are_listed(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    since = pmstream("dead-letters", "list", NAME, PM, "--since", "30m", "-o", "json")
    last = pmstream("dead-letters", "list", NAME, PM, "--limit", "1", "-o", "json")

    assert [row["letter"] for row in rows(since.stdout)] == ["0:2"]
    assert [row["letter"] for row in rows(last.stdout)] == ["0:2"]
    assert "2 dead letters, the last 1 are shown" in last.stderr


def test_a_letter_is_shown_and_its_payload_only_if_asked_for(
    pmstream: Pmstream, world: ClockedWorld
) -> None:
    line = ("dead-letters", "show", CODE, PM, "0:0", "-o", "json")
    hidden, shown = pmstream(*line), pmstream(*line, "--payload")

    assert hidden.exit_code == 0, hidden.output
    assert SECRET.decode() not in hidden.stdout
    row = json.loads(hidden.stdout)
    assert (row["bytes"], row["headers"]) == (len(SECRET), ["secret-header"])
    assert row["today"].startswith("still unreadable: ")
    assert json.loads(shown.stdout)["payload"] == SECRET.decode()
    assert json.loads(shown.stdout)["headers"] == {"secret-header": SECRET.decode()}


def test_what_today_s_code_can_read_is_told(pmstream: Pmstream, world: ClockedWorld) -> None:
    writer = world.log.writer()
    value = world.codec.encode_event(world.source, Happened("a", "go", 7))
    headers = (("pm-source", b"world.events-1-5"), ("pm-error", b"an unknown schema"))
    writer.produce(world.names.dead_letters, value, b"k", headers, partition=0)
    writer.flush(1)

    row = json.loads(
        pmstream("dead-letters", "show", CODE, PM, "0:4", "--payload", "-o", "json").stdout
    )

    assert row["today"] == "readable now, as Happened"
    assert row["payload"] == {"process": "a", "what": "go", "n": 7}


def test_a_dropped_letter_is_told_no_more(pmstream: Pmstream, world: ClockedWorld) -> None:
    line = ("dead-letters", "drop", NAME, PM, "0:0", "--why", "a test", "--who", "ops")
    dry = pmstream(*line)
    assert len(rows(pmstream("dead-letters", "list", NAME, PM, "-o", "json").stdout)) == 2

    done, again = pmstream(*line, "--yes"), pmstream(*line, "--yes")

    assert (dry.exit_code, done.exit_code, again.exit_code) == (0, 0, 1)
    assert "1 dead letters would be dropped" in dry.stderr
    assert "0 dropped, 1 were done with already" in again.stderr
    left = rows(pmstream("dead-letters", "list", NAME, PM, "-o", "json").stdout)
    everything = rows(pmstream("dead-letters", "list", NAME, PM, "--all", "-o", "json").stdout)
    assert [row["letter"] for row in left] == ["0:2"]
    assert [row["mark"] for row in everything] == ["dropped by ops: a test", None]
    marks = [each for each in world.read(world.names.dead_letters) if MARK in dict(each.headers)]
    assert len(marks) == 1
    status = json.loads(pmstream("status", CODE, "-o", "json").stdout)
    assert status["process_managers"][0]["dead_letters"]["count"] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("show", NAME, PM, "0:99"), "there is no dead letter '0:99'"),
        (("show", NAME, PM, "x"), "an id is partition:offset"),
        (("drop", NAME, PM, "0:0", "0:99", "--why", "w", "--yes"), "there is no dead letter"),
        (("drop", NAME, PM, "0:0", "--yes"), "tell by --why"),
        (("list", "nowhere", PM), "there is no topic nowhere.counter.dead-letters"),
        (("list", NAME, PM, "--since", "ever"), "which is no time"),
    ],
)
def test_what_is_wrong_on_the_command_line_is_exit_code_2(
    pmstream: Pmstream, world: ClockedWorld, arguments: tuple[str, ...], text: str
) -> None:
    result = pmstream("dead-letters", *arguments)

    assert result.exit_code == 2, result.output
    assert text in result.stderr
    assert len(world.read(world.names.dead_letters)) == 2
