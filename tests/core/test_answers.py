"""What the answers of error() carry: reasons, replacements, and what it is told."""

from collections.abc import Iterator
from typing import Any

import pytest

from pmstream.core import failure
from pmstream.core.engine import Outcome
from pmstream.core.instance import (
    Wait,
)
from pmstream.core.lifecycle import (
    Condition,
)
from tests.core.kit import (
    START,
    Boom,
    Do,
    Happened,
    Scripted,
    Seen,
    answers,
)
from tests.core.scenes import command_fails, event_fails, route_fails
from tests.core.shell import Shell


def test_parking_keeps_the_reason_else_the_error() -> None:
    for park, reason in ((failure.Park("look"), "look"), (failure.Park(), "in handle")):
        shell, _ = event_fails(answers(park))
        instance = shell.instance
        assert instance is not None
        assert instance.work is not None
        assert instance.work.wait is Wait.OPERATOR
        assert instance.work.reason == reason
        assert instance.work.error_type == "Boom"
        assert instance.work.error_text == "in handle"
        assert shell.condition is Condition.PARKED


def test_parking_a_missing_start_leaves_the_instance_absent() -> None:
    shell, _ = route_fails(answers(failure.Park()))

    assert shell.instance is not None
    assert not shell.instance.exists
    assert shell.condition is Condition.PARKED


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("", "Boom: in handle"),
        ("enough", "enough (after Boom: in handle)"),
        (ValueError("worse"), "ValueError: worse (after Boom: in handle)"),
        (7, "7 (after Boom: in handle)"),
    ],
)
def test_a_stop_tells_its_reason_and_where(reason: object, told: str) -> None:
    shell, _ = event_fails(answers(failure.Stop(reason)))

    assert shell.halted == (
        f"process manager scripted stops at process p-1, event orders-2-1 (Happened): {told}"
    )


def test_by_default_a_failure_stops_with_its_error() -> None:
    shell, done = event_fails(lambda error, _failed, _context: failure.Stop(error))

    assert done.outcome is Outcome.HALTED
    assert shell.halted is not None
    assert shell.halted.endswith(": Boom: in handle")


def test_what_the_failure_context_tells_of_a_command() -> None:
    shell, _ = command_fails(answers(failure.Skip()))

    error, failed, context = shell.manager.failures[0]
    assert failed == Do("bad")
    assert "is no command" in str(error)
    assert context.pending_commands == (Do("c"), Do("d"))
    assert context.state == Seen(("first", "it"))  # as if nothing had failed
    assert context.last_event == Happened("it", ("a", "bad", "c", "d"))
    assert context.attempts == 1
    assert context.first_failed_at == START
    assert not context.stacktrace


def test_what_the_failure_context_tells_of_an_event() -> None:
    shell, _ = event_fails(answers(failure.Skip()))

    error, failed, context = shell.manager.failures[0]
    assert isinstance(error, Boom)
    assert failed == context.last_event == Happened("it", ("a", "b"), "handle")
    assert context.state == Seen(("first",))
    assert context.pending_commands == ()
    assert context.metadata.process_uuid == "p-1"
    assert 'raise Boom("in handle")' in context.stacktrace


def broken_commands() -> Iterator[Do]:
    yield Do("x")
    raise Boom("among the replacements")


@pytest.mark.parametrize(
    ("commands", "emitted"),
    [
        ([], ["a"]),
        ((), ["a"]),
        ((Do(each) for each in "xy"), ["a", "x", "y"]),
        (Do("x"), ["a", "x"]),
    ],
)
def test_replacements_may_be_any_iterable(commands: Any, emitted: list[str]) -> None:
    shell, done = command_fails(answers(failure.ContinueWith(commands)))

    assert done.outcome is Outcome.HANDLED
    assert shell.emitted == emitted


@pytest.mark.parametrize(
    ("commands", "told"),
    [
        (broken_commands(), "Boom: among the replacements"),
        ("xy", "TypeError: commands are a Struct"),
        (7, "TypeError: commands are a Struct"),
    ],
)
def test_replacements_that_cannot_be_read_stop(commands: Any, told: str) -> None:
    shell, done = command_fails(answers(failure.ContinueWith(commands)))

    assert done.outcome is Outcome.HALTED
    assert f"is no command; error() answered an illegal ContinueWith: {told}" in str(shell.halted)


def test_a_replacement_may_fail_in_its_turn() -> None:
    given = (failure.ContinueWith([Do("x"), Do("bad 2"), Do("y")], {"n": 1}), failure.Skip())
    shell, _ = command_fails(answers(*given))

    assert shell.emitted == ["a", "x", "y"]
    assert [each.context for each in shell.manager.contexts] == [{}, {}]


def test_the_context_of_replacements_is_for_the_first_of_them() -> None:
    given = (failure.ContinueWith([Do("bad 2"), Do("y")], {"n": 1}), failure.Skip())
    shell, _ = command_fails(answers(*given))

    assert shell.emitted == ["a", "y"]
    assert [each.context for each in shell.manager.contexts] == [{}, {"n": 1}]
    assert [each.attempts for each in shell.manager.contexts] == [1, 2]


class Mute(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Boom("\ud800"), "\\ud800"),
        (Boom("x" * 5_000), "x" * 2_000),
        (Mute(), "<Mute that has no text>"),
    ],
)
def test_any_error_has_a_text_that_can_be_stored(error: Exception, text: str) -> None:
    class Raises(Scripted):
        def handle(self, state: Seen, event: Happened, *args: Any) -> Any:
            raise error

    shell = Shell(Raises(answers(failure.Park())))
    shell.arrive(Happened("it"))

    assert shell.work.error_text == shell.work.reason == text
