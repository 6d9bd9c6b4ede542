"""Confirm mode: one command at a time, its reply, its deadline, and every answer to a failure."""

from collections.abc import Iterable
from typing import Any

import pytest

from pmstream.core import failure
from pmstream.core.engine import Due, Outcome, Reply
from pmstream.core.failure import FailureContext
from pmstream.core.lifecycle import Condition, DueKind
from pmstream.core.process import AfterCommand
from pmstream.core.routing import Route
from pmstream.errors import CommandInvalid, CommandRejected, CommandTimeout
from tests.core.kit import UUID, Do, Happened, Scripted, Seen, WithAfterCommand, answers
from tests.core.shell import Shell

ID = f"{UUID}/orders-2-0"


def asking(*given: Any, commands: Iterable[str] = ("a", "b", "c")) -> Shell:
    """An event called for commands; the first one is out. `error` answers what is given."""
    shell = Shell(Scripted(answers(*given or (failure.Skip(),)), dispatch="confirm"))
    shell.arrive(Happened("first", tuple(commands)))
    return shell


def accept(shell: Shell) -> Outcome:
    return shell.reply(shell.commands[-1], accepted=True).outcome


def reject(shell: Shell, reason: Any = "no") -> Outcome:
    return shell.reply(shell.commands[-1], accepted=False, reason=reason).outcome


def ids(shell: Shell) -> list[str]:
    return [each.id.removeprefix(ID) for each in shell.commands]


def test_the_next_command_waits_for_the_reply_and_the_state_does_not() -> None:
    shell = asking()

    assert shell.emitted == ["a"]
    assert shell.state == Seen(("first",))
    before = shell.condition
    assert [accept(shell), accept(shell), accept(shell)] == [
        Outcome.AWAITING,
        Outcome.AWAITING,
        Outcome.HANDLED,
    ]

    assert (shell.emitted, ids(shell)) == (["a", "b", "c"], ["/0", "/1", "/2"])
    assert (before, shell.condition) == (Condition.AWAITING, Condition.IDLE)


def test_events_wait_behind_a_command_that_is_awaited_in_order() -> None:
    shell = asking(commands=["a"])
    for name in ("second", "third"):
        shell.arrive(Happened(name))

    assert shell.waiting == ["second", "third"]
    accept(shell)

    assert shell.state == Seen(("first", "second", "third"))


@pytest.mark.parametrize(
    "reply", [Reply("another", True), Reply(f"{ID}/1", True), Reply(f"{ID}/0~1", False)]
)
def test_a_reply_counts_only_if_it_names_the_awaited_command(reply: Reply) -> None:
    shell = asking()
    before = shell.record

    assert shell.step(reply).outcome is Outcome.IGNORED

    assert shell.record == before


def test_a_reply_that_comes_twice_or_to_nobody_is_ignored() -> None:
    shell = asking(commands=["a"])
    accept(shell)

    assert accept(shell) is Outcome.IGNORED
    shell.arrive(Happened("end"), Route.STOP)
    assert accept(shell) is Outcome.IGNORED
    assert shell.record is None


def test_a_rejection_reaches_error_with_its_reason_and_what_is_pending() -> None:
    shell = asking(failure.Park())

    assert reject(shell, {"balance": 3}) is Outcome.PARKED

    error, failed, context = shell.manager.failures[0]
    assert isinstance(error, CommandRejected)
    assert error.reason == {"balance": 3}
    assert failed == Do("a")
    assert context.pending_commands == (Do("b"), Do("c"))
    assert (context.stage, context.state, context.attempts) == ("dispatch", Seen(("first",)), 1)
    assert context.last_event == Happened("first", ("a", "b", "c"))
    assert shell.condition is Condition.PARKED


@pytest.mark.parametrize("answer", [failure.Skip(), failure.SkipContinuePending()])
def test_a_skipped_command_is_dropped_and_the_pending_ones_go_on(answer: Any) -> None:
    shell = asking(answer)

    reject(shell)
    accept(shell)

    assert (shell.emitted, ids(shell)) == (["a", "b", "c"], ["/0", "/1", "/2"])


def test_discarded_commands_never_go_out_and_the_event_counts() -> None:
    shell = asking(failure.SkipDiscardPending())

    assert reject(shell) is Outcome.HANDLED

    assert shell.emitted == ["a"]
    assert shell.state == Seen(("first",))


def test_replacements_go_out_one_by_one_in_place_of_the_failed_and_the_pending_ones() -> None:
    shell = asking(failure.ContinueWith([Do("x"), Do("y")]))

    assert reject(shell) is Outcome.AWAITING
    accept(shell)
    assert accept(shell) is Outcome.HANDLED

    assert (shell.emitted, ids(shell)) == (["a", "x", "y"], ["/0", "/1", "/2"])


def test_no_replacements_drop_them_all() -> None:
    shell = asking(failure.ContinueWith([]))

    assert reject(shell) is Outcome.HANDLED

    assert shell.emitted == ["a"]


def test_a_retry_after_a_rejection_is_a_new_question() -> None:
    shell = asking(failure.Retry({"n": 1}), commands=["a"])

    reject(shell)
    reject(shell)
    accept(shell)

    assert ids(shell) == ["/0", "/0~1", "/0~2"]
    assert [dict(each.headers)["command-id"] for each in shell.commands] == [
        each.id.encode() for each in shell.commands
    ]
    assert [context.attempts for context in shell.manager.contexts] == [1, 2]
    assert shell.manager.contexts[1].context == {"n": 1}


def test_a_retry_after_a_timeout_keeps_the_id() -> None:
    shell = asking(failure.Retry(), commands=["a"])

    assert shell.advance(29_999) == []
    assert shell.advance(1) == [Outcome.AWAITING]

    assert ids(shell) == ["/0", "/0"]
    assert isinstance(shell.manager.failures[0][0], CommandTimeout)
    assert accept(shell) is Outcome.HANDLED


def test_a_delayed_retry_sends_again_when_its_time_has_come() -> None:
    shell = asking(failure.Retry({"n": 1}, delay=7), commands=["a", "b"])

    assert reject(shell) is Outcome.RETRYING
    assert shell.advance(6_999) == []
    assert shell.advance(1) == [Outcome.AWAITING]
    accept(shell)

    assert ids(shell) == ["/0", "/0~1", "/1"]


def test_the_context_of_one_command_is_not_the_next_ones() -> None:
    shell = asking(failure.Retry({"n": 1}), failure.Skip(), commands=["a", "b"])

    reject(shell)
    accept(shell)
    reject(shell)

    assert [(each.context, each.attempts) for each in shell.manager.contexts] == [({}, 1), ({}, 1)]


def test_a_retry_that_waits_hears_no_late_reply() -> None:
    shell = asking(failure.Retry(delay=5), commands=["a"])
    shell.advance(30_000)

    assert accept(shell) is Outcome.IGNORED
    assert shell.condition is Condition.RETRYING


def test_a_deadline_that_does_not_hold_any_more_is_ignored() -> None:
    shell = asking(commands=["a", "b"])
    shell.now += 20_000
    accept(shell)
    shell.now += 10_000  # the first command's time

    assert shell.step(Due(DueKind.REPLY, UUID)).outcome is Outcome.IGNORED


def test_stop_halts_at_the_reply() -> None:
    shell = asking(failure.Stop("enough"))

    assert reject(shell) is Outcome.HALTED

    assert shell.halted is not None
    assert "enough" in shell.halted
    assert shell.condition is Condition.AWAITING


def test_a_command_that_cannot_be_encoded_fails_before_any_goes_out() -> None:
    shell = asking(failure.Skip(), commands=["a", "bad", "c"])

    assert isinstance(shell.manager.failures[0][0], CommandInvalid)
    assert shell.emitted == ["a"]
    accept(shell)
    accept(shell)

    assert shell.emitted == ["a", "c"]


def test_replacements_that_cannot_be_encoded_ask_again() -> None:
    def error(raised: Exception, _failed: Any, _context: FailureContext) -> failure.Answer:
        if isinstance(raised, CommandRejected):
            return failure.ContinueWith([Do("bad"), Do("y")])
        return failure.Skip()

    shell = Shell(Scripted(error, dispatch="confirm"))
    shell.arrive(Happened("first", ("a", "b")))

    reject(shell)
    accept(shell)

    assert shell.emitted == ["a", "y"]


def test_replacements_that_have_to_wait_leave_the_command_they_were_for() -> None:
    given = answers(failure.ContinueWith([Do("bad")]), failure.Park("look"))
    shell = Shell(Scripted(given, dispatch="confirm"))
    shell.arrive(Happened("first", ("a", "b")))

    assert reject(shell) is Outcome.PARKED

    assert [each.id.removeprefix(ID) for each in shell.work.pending] == ["/0~1", "/1"]
    assert shell.work.command == 0


def test_after_command_runs_for_the_accepted_ones_when_the_last_is_answered() -> None:
    told: list[str] = []

    def after(_state: Seen, command: Do, _metadata: Any) -> AfterCommand | None:
        told.append(command.what)
        return AfterCommand.STOP if command.what == "c" else None

    shell = Shell(WithAfterCommand(after, answers(failure.Skip()), dispatch="confirm"))
    shell.arrive(Happened("first", ("a", "b", "c")))
    accept(shell)
    reject(shell)
    assert told == []

    assert accept(shell) is Outcome.ENDED

    assert told == ["a", "c"]
    assert shell.record is None


def test_an_older_worker_that_cannot_read_a_rejected_command_asks_again_later() -> None:
    shell = asking(commands=["a"])
    shell.coder.can_read = False

    assert reject(shell) is Outcome.RETRYING
    shell.coder.can_read = True
    assert shell.advance(1_000) == [Outcome.AWAITING]

    assert ids(shell) == ["/0", "/0"]
