"""Events that another worker could decode and this one cannot: they wait, nobody is asked."""

from pmstream.core import failure
from pmstream.core.engine import Arrived, Outcome
from pmstream.core.instance import Wait
from pmstream.core.routing import Route
from tests.core.kit import (
    START,
    Happened,
    Scripted,
    Seen,
    answers,
    counting,
    routed,
)
from tests.core.scenes import after_command_fails, event_fails
from tests.core.shell import Shell


def test_what_cannot_be_decoded_here_waits_without_asking_the_author() -> None:
    shell = Shell(Scripted())
    shell.coder.can_read = False

    done = shell.arrive(Happened("it", ("a",)))

    assert done.outcome is Outcome.RETRYING
    assert not shell.manager.failures
    work = shell.work
    assert (work.wait, work.error_type, work.attempts) == (Wait.RETRY, "Undecodable", 0)
    assert work.error_text == "an unknown schema"
    delays = []
    for _ in range(9):
        due_in = shell.work.due - shell.now
        delays.append(due_in)
        shell.advance(due_in)
    assert delays == [1_000, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]
    shell.coder.can_read = True
    assert shell.advance(60_000) == [Outcome.HANDLED]
    assert shell.emitted == ["a"]
    assert [each.attempt for each in shell.manager.metadata] == [1]


def test_an_author_is_not_told_of_time_spent_waiting_for_a_decoder() -> None:
    shell = Shell(Scripted(answers(failure.Skip())))
    shell.coder.can_read = False
    shell.arrive(Happened("it", (), "handle"))
    shell.coder.can_read = True

    shell.advance(1_000)

    assert shell.manager.contexts[0].attempts == 1
    assert shell.manager.contexts[0].first_failed_at == START + 1_000


def test_a_retry_that_cannot_be_decoded_here_keeps_its_failures() -> None:
    shell, _ = event_fails(counting(delay=1))
    shell.coder.can_read = False
    shell.advance(1_000)
    shell.coder.can_read = True
    shell.advance(60_000)

    assert [each.context for each in shell.manager.contexts] == [{}, {"n": 1}]
    assert [each.attempts for each in shell.manager.contexts] == [1, 2]


def test_an_event_that_ends_or_does_nothing_needs_no_decoder() -> None:
    shell = Shell(Scripted())
    shell.coder.can_read = False

    assert shell.arrive(Happened("end"), Route.STOP).outcome is Outcome.IGNORED


def test_after_command_waits_for_what_it_needs_to_read() -> None:
    shell, _ = after_command_fails(counting(delay=1))
    shell.coder.can_read = False

    assert shell.advance(1_000) == [Outcome.RETRYING]

    assert shell.work.error_type == "Undecodable"
    assert len(shell.work.sent) == 2
    shell.coder.can_read = True
    shell.advance(60_000)
    assert [each.attempts for each in shell.manager.contexts] == [1, 2]


def test_an_event_that_was_decoded_already_is_not_decoded_again() -> None:
    shell = Shell(Scripted())
    shell.coder.can_read = False

    done = shell.step(Arrived(routed(Happened("other")), Happened("first")))

    assert done.outcome is Outcome.HANDLED
    assert shell.state == Seen(("first",))
