"""Listeners hear of each try of the author's code, and can harm nobody."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream import App
from pmstream.errors import ConfigurationError
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from pmstream.telemetry import AttemptFailed, AttemptStarted, AttemptStopped
from tests.runtime import world as worlds
from tests.runtime.world import Count, Counter, Do, Happened, World

Listen = Callable[..., World]


def app_of(manager: Counter, *listeners: Any) -> App:
    return App(
        name="world",
        schemas=Path(worlds.__file__).parent / "avro",
        events={"world.events": [Happened]},
        commands={"world.commands": {Do: "process"}},
        process_managers=[manager],
        telemetry=listeners,
    )


@pytest.fixture
def listen(tmp_path: Path) -> Iterator[Listen]:
    """A world with these listeners."""
    made: list[World] = []

    def start(*listeners: Any, manager: Counter | None = None) -> World:
        clock = VirtualClock()
        app = app_of(manager or Counter(), *listeners)
        world = World(MemoryLog(clock), tmp_path, clock, app=app)
        made.append(world)
        world.start_all()
        return world

    yield start
    for each in made:
        each.close()


def brief(heard: list[Any]) -> list[tuple[Any, ...]]:
    """What was heard, in short."""
    return [
        (
            type(each).__name__,
            each.attempt,
            *([each.answer] if isinstance(each, AttemptFailed) else []),
        )
        for each in heard
    ]


def test_an_event_that_is_handled_starts_and_stops(listen: Listen) -> None:
    heard: list[Any] = []
    world = listen(heard.append)

    world.count("a", [7], "go")
    world.settle()

    start, stop = heard
    assert start == AttemptStarted(
        process_manager="counter",
        process_uuid="a",
        event_type="Happened",
        event_id=start.event_id,
        correlation_id=start.event_id,
        topic="world.events",
        partition=start.partition,
        offset=0,
        attempt=1,
    )
    assert start.event_id == f"world.events-{start.partition}-0"
    assert isinstance(stop, AttemptStopped)
    assert stop.commands == 1
    assert 0 < stop.seconds < 10
    assert {name: getattr(stop, name) for name in AttemptStarted.__struct_fields__} == {
        name: getattr(start, name) for name in AttemptStarted.__struct_fields__
    }


class Blind(Counter):
    """Takes no Metadata."""

    def handle(self, state: Count, event: Happened) -> Do:  # type: ignore[override]
        return Do(process=event.process, n=event.n, count=1)


def test_listeners_hear_of_the_event_although_no_callback_takes_metadata(listen: Listen) -> None:
    heard: list[Any] = []
    world = listen(heard.append, manager=Blind())

    world.count("a", [7])
    world.settle()

    assert [(each.process_uuid, each.topic, each.attempt) for each in heard] == [
        ("a", "world.events", 1),
        ("a", "world.events", 1),
    ]


def test_each_failed_try_is_heard_with_its_number_and_the_answer(listen: Listen) -> None:
    heard: list[Any] = []
    manager = Counter()
    world = listen(heard.append, manager=manager)
    world.count("a", [0], "retry")
    world.settle(lambda: len(heard) >= 4)
    manager.healed = True
    world.settle()

    assert brief(heard) == [
        ("AttemptStarted", 1),
        ("AttemptFailed", 1, "Retry"),
        ("AttemptStarted", 2),
        ("AttemptFailed", 2, "Retry"),
        ("AttemptStarted", 3),
        ("AttemptStopped", 3),
    ]
    failed = heard[3]
    assert (failed.stage, failed.attempts, type(failed.error).__name__) == ("handle", 2, "Oops")
    assert "Oops: retry" in failed.stacktrace
    assert failed.seconds > 0


def test_a_failing_interested_is_heard_in_the_router(listen: Listen) -> None:
    heard: list[Any] = []
    world = listen(heard.append)

    world.count("a", [0], "bad route")
    world.settle()

    assert brief(heard) == [("AttemptFailed", 1, "Skip")]
    assert (heard[0].stage, heard[0].process_uuid) == ("interested", "")


def test_a_strict_route_that_fails_is_heard_without_a_start(listen: Listen) -> None:
    heard: list[Any] = []
    world = listen(heard.append, manager=Counter())

    world.count("nobody", [0], "only")
    world.settle(lambda: len(heard) >= 1)

    assert brief(heard) == [("AttemptFailed", 1, "Retry")]
    assert (heard[0].stage, heard[0].stacktrace) == ("routing", "")


class Undeclared(Counter):
    """Answers what is no command of its app."""

    def handle(self, state: Any, event: Happened, metadata: Any) -> Any:
        return event


def test_a_command_that_is_none_fails_its_event_and_is_not_heard_as_a_stop(listen: Listen) -> None:
    heard: list[Any] = []
    world = listen(heard.append, manager=Undeclared())

    world.count("a", [0])
    world.settle()

    assert brief(heard) == [("AttemptStarted", 1), ("AttemptFailed", 1, "Skip")]
    assert heard[1].stage == "dispatch"


def test_a_listener_that_raises_harms_nobody_and_is_told_once(listen: Listen) -> None:
    heard: list[Any] = []

    def broken(_what: object) -> None:
        raise ZeroDivisionError("a dashboard is away")

    def leaving(_what: object) -> None:
        raise SystemExit("bye")

    world = listen(broken, leaving, heard.append)

    for n in range(3):
        world.count("a", [n], "go")
    world.settle()

    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]
    assert len(heard) == 6
    told = [
        re.sub(r"line \d+", "line L", text) for what, _, text in world.told if what == "telemetry"
    ]
    assert told == [
        "a listener raises ZeroDivisionError in test_telemetry.py, line L; told once, work goes on",
        "a listener raises SystemExit in test_telemetry.py, line L; told once, work goes on",
    ]


def test_without_listeners_the_callbacks_are_the_authors_own(listen: Listen) -> None:
    world = listen()

    stage = world.workers["w-0"].stage

    assert stage._observer is None  # type: ignore[attr-defined]


def test_what_cannot_be_called_is_no_listener() -> None:
    with pytest.raises(ConfigurationError, match="telemetry: 'me' is not a function of one arg"):
        app_of(Counter(), "me")
