"""8. Telemetry: start, stop and exception of each attempt."""

from datetime import timedelta
from typing import Any

from pmstream import failure
from pmstream.core.timers import Set
from pmstream.errors import CommandTimeout
from pmstream.telemetry import AttemptFailed, AttemptStarted, AttemptStopped
from tests.conformance.kit import Oops, Opened, Play, Scripted


def test_an_attempt_starts_and_stops(play: Play) -> None:
    heard: list[Any] = []
    run = play(Scripted(), telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.settle()
    assert [type(each) for each in heard] == [AttemptStarted, AttemptStopped]
    assert (heard[1].process_uuid, heard[1].event_type, heard[1].commands) == ("a", "Opened", 1)


def test_each_attempt_that_fails_is_an_exception_with_its_answer(play: Play) -> None:
    heard: list[Any] = []

    def handle(_state: Any, _event: Any, metadata: Any) -> None:
        if metadata.attempt < 3:
            raise Oops("no")

    run = play(Scripted(handle=handle, error=failure.Retry()), telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.settle()
    failed = [each for each in heard if isinstance(each, AttemptFailed)]
    assert [(each.attempt, each.stage, each.answer) for each in failed] == [
        (1, "handle", "Retry"),
        (2, "handle", "Retry"),
    ]
    assert isinstance(heard[-1], AttemptStopped)
    assert heard[-1].attempt == 3


def test_a_failing_apply_is_an_exception_of_that_stage(play: Play) -> None:
    heard: list[Any] = []

    def apply() -> None:
        raise Oops("no")

    run = play(Scripted(apply=apply, error=failure.Skip()), telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.settle()
    assert [type(each) for each in heard] == [AttemptStarted, AttemptFailed]
    assert (heard[1].stage, heard[1].answer) == ("apply", "Skip")


def test_an_uninteresting_event_is_not_heard_of(play: Play) -> None:
    heard: list[Any] = []
    run = play(Scripted(route=lambda: None), telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.settle()
    assert heard == []


def test_a_timer_that_fires_is_an_attempt_too(play: Play) -> None:
    heard: list[Any] = []

    def handle(_state: Any, event: Any) -> Any:
        return Set("later", after=60) if isinstance(event, Opened) else None

    run = play(Scripted(handle=handle), telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.advance(timedelta(seconds=61))
    assert [(type(each), each.event_type) for each in heard[2:]] == [
        (AttemptStarted, "TimerFired"),
        (AttemptStopped, "TimerFired"),
    ]


def test_a_command_that_nobody_answers_is_an_exception_behind_the_stop_of_its_event(
    play: Play,
) -> None:
    heard: list[Any] = []
    manager = Scripted(error=failure.Skip(), dispatch="confirm", confirm_timeout=30)
    run = play(manager, telemetry=[heard.append])
    run.produce(Opened("a", 1))
    run.advance(timedelta(seconds=31))
    assert [type(each) for each in heard] == [AttemptStarted, AttemptStopped, AttemptFailed]
    assert (heard[2].stage, type(heard[2].error)) == ("dispatch", CommandTimeout)
