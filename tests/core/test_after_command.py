"""after_command: called for what is out, repeated alone, and how it ends an instance."""

from typing import Any

import pytest

from pmstream.core import failure
from pmstream.core.engine import Outcome
from pmstream.core.failure import Stage
from pmstream.core.instance import (
    Wait,
)
from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.core.messages import Metadata
from pmstream.core.process import AfterCommand
from pmstream.core.routing import Route
from tests.core.kit import (
    Boom,
    Do,
    Error,
    Happened,
    Seen,
    WithAfterCommand,
    answers,
)
from tests.core.shell import Shell


class Recorder:
    """An after_command that remembers its calls; raises at `fails`, stops at `stops`."""

    def __init__(self, fails: str = "", stops: str = "") -> None:
        self.fails = fails
        self.stops = stops
        self.calls: list[str] = []
        self.states: list[Seen] = []
        self.attempts: list[int] = []

    def __call__(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        self.calls.append(command.what)
        self.states.append(state)
        self.attempts.append(metadata.attempt)
        if command.what == self.fails:
            raise Boom("in after_command")
        return AfterCommand.STOP if command.what == self.stops else AfterCommand.CONTINUE


def shell_with(after: Any, *given: Any) -> Shell:
    error: Error | None = answers(*given) if given else None
    return Shell(WithAfterCommand(after, error))


def test_it_is_called_in_order_with_the_new_state() -> None:
    after = Recorder()
    shell = shell_with(after)

    shell.arrive(Happened("it", ("a", "b")))

    assert after.calls == ["a", "b"]
    assert after.states == [Seen(("it",))] * 2
    assert after.attempts == [1, 1]


def test_replacements_are_included_and_skipped_ones_are_not() -> None:
    after = Recorder()
    shell = shell_with(after, failure.Skip(), failure.ContinueWith([Do("x"), Do("y")]))

    shell.arrive(Happened("it", ("bad 1", "b", "bad 2", "c")))

    assert shell.emitted == after.calls == ["b", "x", "y"]


@pytest.mark.parametrize("answer", [failure.Skip(), failure.Park(), failure.Retry(delay=1)])
def test_it_is_not_called_for_an_event_without_commands(answer: Any) -> None:
    after = Recorder()
    shell = shell_with(after, answer)

    shell.arrive(Happened("quiet"))
    shell.arrive(Happened("failing", ("a",), "apply"))

    assert not after.calls


def test_stop_ends_the_instance_in_the_same_step_and_the_rest_is_not_called() -> None:
    after = Recorder(stops="b")
    shell = shell_with(after)

    done = shell.arrive(Happened("it", ("a", "b", "c")))

    assert (done.outcome, done.instance) == (Outcome.ENDED, None)
    assert shell.emitted == ["a", "b", "c"]
    assert after.calls == ["a", "b"]


def test_stop_leaves_the_backlog_to_meet_no_instance() -> None:
    after = Recorder(stops="end")
    shell = shell_with(after, failure.Retry(delay=1), failure.Skip())
    shell.arrive(Happened("first", ("end",), "handle"))
    shell.arrive(Happened("late"), Route.CONTINUE_EXISTING)
    shell.manager.broken = False

    assert shell.advance(1_000) == [Outcome.ENDED, Outcome.SKIPPED]

    assert shell.record is None


def test_a_delayed_retry_repeats_only_it() -> None:
    after = Recorder(fails="b")
    shell = shell_with(after, failure.Retry({"n": 1}, 1))

    done = shell.arrive(Happened("it", ("a", "b", "c")))

    assert done.outcome is Outcome.RETRYING
    assert shell.emitted == ["a", "b", "c"]
    assert shell.state == Seen(("it",))
    assert shell.work.stage is Stage.AFTER_COMMAND
    assert [each.id for each in shell.work.sent] == [each.id for each in shell.commands[1:]]
    after.fails = ""
    assert shell.advance(1_000) == [Outcome.HANDLED]
    assert after.calls == ["a", "b", "b", "c"]
    assert after.attempts == [1, 1, 2, 1]
    assert shell.emitted == ["a", "b", "c"]
    assert shell.state == Seen(("it",))
    assert shell.condition is Condition.IDLE


def test_a_repeated_one_may_fail_at_the_next_command() -> None:
    after = Recorder(fails="b")
    shell = shell_with(after, failure.Retry({"n": 1}, 1))
    shell.arrive(Happened("it", ("a", "b", "c")))
    after.fails = "c"

    shell.advance(1_000)
    shell.advance(1_000)

    assert after.calls == ["a", "b", "b", "c", "c"]
    assert [each.key for each in shell.work.sent] == [b"c"]
    contexts = [(each.context, each.attempts) for each in shell.manager.contexts]
    assert contexts == [({}, 1), ({}, 1), ({"n": 1}, 2)]


def test_a_repeated_one_may_end_the_instance() -> None:
    after = Recorder(fails="b")
    shell = shell_with(after, failure.Retry(delay=1))
    shell.arrive(Happened("it", ("a", "b")))
    after.fails, after.stops = "", "b"

    assert shell.advance(1_000) == [Outcome.ENDED]

    assert shell.record is None


def test_an_immediate_retry_repeats_only_it() -> None:
    after = Recorder(fails="b")
    shell = shell_with(after, failure.Retry(), failure.Retry(), failure.Skip())

    shell.arrive(Happened("it", ("a", "b", "c")))

    assert after.calls == ["a", "b", "b", "b", "c"]
    assert after.attempts == [1, 1, 2, 3, 1]
    assert shell.emitted == ["a", "b", "c"]


def test_immediate_retries_are_capped_and_the_commands_are_out_once() -> None:
    after = Recorder(fails="a")
    shell = shell_with(after, failure.Retry())

    assert shell.arrive(Happened("it", ("a",))).outcome is Outcome.RETRYING
    assert shell.advance(0) == [Outcome.RETRYING]

    assert after.calls == ["a"] * 20
    assert shell.emitted == ["a"]


def test_parking_keeps_what_is_still_to_be_called() -> None:
    after = Recorder(fails="b")
    shell = shell_with(after, failure.Park("look"))

    shell.arrive(Happened("it", ("a", "b", "c")))

    assert shell.condition is Condition.PARKED
    assert (shell.work.wait, shell.work.stage) == (Wait.OPERATOR, Stage.AFTER_COMMAND)
    assert [each.key for each in shell.work.sent] == [b"b", b"c"]
    assert shell.arrive(Happened("next")).outcome is Outcome.QUEUED


def test_a_stopped_process_manager_leaves_nothing_of_the_event() -> None:
    shell = shell_with(Recorder(fails="b"), failure.Stop())
    shell.arrive(Happened("first"))

    assert shell.arrive(Happened("it", ("a", "b"))).outcome is Outcome.HALTED

    assert shell.state == Seen(("first",))
    assert not shell.emitted


def test_what_a_failure_there_is_told() -> None:
    shell = shell_with(Recorder(fails="b"), failure.Skip())

    shell.arrive(Happened("it", ("a", "b", "c")))

    error, failed, context = shell.manager.failures[0]
    assert isinstance(error, Boom)
    assert failed == Do("b")
    assert context.last_event == Happened("it", ("a", "b", "c"))
    assert (context.state, context.pending_commands) == (Seen(("it",)), ())
    assert "in after_command" in context.stacktrace


@pytest.mark.parametrize("answer", [True, "Stop", failure.Stop(), []])
def test_a_foreign_answer_counts_as_raised(answer: Any) -> None:
    shell = shell_with(lambda _state, _command, _metadata: answer, failure.Skip())

    shell.arrive(Happened("it", ("a",)))

    error = shell.manager.failures[0][0]
    assert isinstance(error, TypeError)
    assert "after_command() answered" in str(error)
