"""Starts that pass an input which waits for one, else it would wait for itself."""

import pytest

from pmstream.core import failure
from pmstream.core.engine import Outcome
from pmstream.core.instance import (
    FIRST_SEQUENCE,
    Wait,
)
from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.core.process import AfterCommand
from pmstream.core.routing import CREATING, Route
from pmstream.errors import NotStarted
from tests.core.kit import (
    Error,
    Happened,
    Scripted,
    Seen,
    WithAfterCommand,
    answers,
)
from tests.core.shell import Shell

LATER = failure.Retry(delay=1)
EARLY = Route.CONTINUE_EXISTING


def on_not_started(missing: object, other: object) -> Error:
    """An `error` that answers `missing` to NotStarted, `other` to all else."""
    return lambda error, _failed, _context: missing if isinstance(error, NotStarted) else other


@pytest.mark.parametrize("route", sorted(CREATING))
def test_a_start_passes_what_waits_for_it_and_a_retry_is_due_at_once(route: Route) -> None:
    shell = Shell(Scripted(on_not_started(failure.Retry(delay=60), None)))
    shell.arrive(Happened("early", ("e",)), EARLY)
    shell.arrive(Happened("second", ("s",)), EARLY)

    assert shell.arrive(Happened("start", ("x",)), route).outcome is Outcome.HANDLED

    assert shell.state == Seen(("start",))
    assert shell.condition is Condition.RETRYING
    assert shell.advance(0) == [Outcome.HANDLED, Outcome.HANDLED]
    assert shell.state == Seen(("start", "early", "second"))
    assert shell.emitted == ["x", "e", "s"]


@pytest.mark.parametrize("route", sorted(set(Route) - CREATING))
def test_what_does_not_create_waits_behind_an_early_event(route: Route) -> None:
    shell = Shell(Scripted(on_not_started(failure.Retry(delay=60), None)))
    shell.arrive(Happened("early"), EARLY)

    assert shell.arrive(Happened("other"), route).outcome is Outcome.QUEUED


def test_a_start_passes_nothing_that_waits_for_something_else() -> None:
    shell = Shell(Scripted(answers(failure.Park())))
    shell.arrive(Happened("failing", (), "handle"))

    assert shell.arrive(Happened("start")).outcome is Outcome.QUEUED


def test_a_start_leaves_a_parked_early_event_to_its_operator() -> None:
    shell = Shell(Scripted(on_not_started(failure.Park(), None)))
    shell.arrive(Happened("early"), EARLY)

    shell.arrive(Happened("start"))

    assert shell.state == Seen(("start",))
    assert shell.condition is Condition.PARKED
    assert shell.arrive(Happened("again")).outcome is Outcome.QUEUED


@pytest.mark.parametrize("missing", [failure.Retry(delay=60), failure.Park()])
def test_a_passing_start_that_is_dropped_changes_nothing(missing: object) -> None:
    shell = Shell(Scripted(on_not_started(missing, failure.Skip())))
    shell.arrive(Happened("early"), EARLY)
    before = shell.record

    assert shell.arrive(Happened("start", (), "handle")).outcome is Outcome.SKIPPED

    assert shell.record == before


@pytest.mark.parametrize("missing", [failure.Retry(delay=60), failure.Park("look")])
@pytest.mark.parametrize("failing", [LATER, failure.Park()])
def test_a_passing_start_that_fails_becomes_the_work(missing: object, failing: object) -> None:
    shell = Shell(Scripted(on_not_started(missing, failing)))
    shell.arrive(Happened("early"), EARLY)
    shell.arrive(Happened("second"), EARLY)
    early = shell.instance
    assert early is not None

    done = shell.arrive(Happened("start", (), "handle"))

    assert done.put is not None
    assert done.put.sequence == FIRST_SEQUENCE - 1
    assert done.put.work == early.work  # its context and wait are kept
    assert shell.waiting == ["early", "second"]
    assert done.instance is not None
    assert not done.instance.exists
    assert shell.condition.value == done.outcome.value


def test_after_a_failed_start_succeeded_the_early_event_has_its_turn() -> None:
    shell = Shell(Scripted(on_not_started(failure.Retry(delay=60), LATER)))
    shell.arrive(Happened("early"), EARLY)
    shell.arrive(Happened("second"), EARLY)
    shell.arrive(Happened("start", (), "handle"))
    shell.manager.broken = False

    shell.advance(1_000)

    assert shell.state == Seen(("start", "early", "second"))
    assert shell.condition is Condition.IDLE


def test_after_a_failed_start_succeeded_a_parked_early_event_is_parked_again() -> None:
    shell = Shell(Scripted(on_not_started(failure.Park("look"), LATER)))
    shell.arrive(Happened("early"), EARLY)
    shell.arrive(Happened("start", (), "handle"))
    shell.manager.broken = False

    assert shell.advance(1_000) == [Outcome.HANDLED, Outcome.PARKED]

    assert shell.instance is not None
    assert shell.instance.work is not None
    assert (shell.instance.work.wait, shell.instance.work.reason) == (Wait.OPERATOR, "look")
    assert shell.state == Seen(("start",))


def test_after_a_failed_start_was_dropped_the_early_event_waits_again() -> None:
    shell = Shell(Scripted(on_not_started(failure.Park(), LATER)))
    shell.arrive(Happened("early"), EARLY)
    shell.arrive(Happened("start", (), "handle"))
    shell.manager.answer = on_not_started(failure.Park(), failure.Skip())

    assert shell.advance(1_000) == [Outcome.SKIPPED, Outcome.PARKED]

    assert shell.arrive(Happened("start")).outcome is Outcome.HANDLED


def failed_start_with_another_behind(missing: object) -> Shell:
    """Work: a failed start. Behind it: an early event, another one, and two starts."""
    shell = Shell(Scripted(on_not_started(missing, LATER)))
    shell.arrive(Happened("early"), EARLY)
    shell.arrive(Happened("start", (), "handle"))
    shell.arrive(Happened("other"), EARLY)
    shell.arrive(Happened("broken", (), "apply"))
    shell.arrive(Happened("good", ("g",)))
    shell.manager.answer = on_not_started(missing, failure.Skip())
    return shell


def test_an_input_from_the_backlog_that_waits_for_a_start_looks_for_one_behind_it() -> None:
    shell = failed_start_with_another_behind(failure.Retry(delay=60))

    outcomes = shell.advance(1_000)

    dropped, waits = Outcome.SKIPPED, Outcome.RETRYING
    assert outcomes == [dropped, waits, dropped, Outcome.HANDLED]
    assert shell.state == Seen(("good",))
    assert shell.waiting == ["other"]
    assert shell.advance(0) == [Outcome.HANDLED, Outcome.HANDLED]
    assert shell.state == Seen(("good", "early", "other"))


def test_a_parked_one_from_the_backlog_looks_for_a_start_behind_it_too() -> None:
    shell = failed_start_with_another_behind(failure.Park())

    shell.advance(1_000)

    assert shell.state == Seen(("good",))
    assert shell.condition is Condition.PARKED
    assert shell.waiting == ["other"]


def test_an_entry_taken_out_of_turn_leaves_a_gap() -> None:
    shell = failed_start_with_another_behind(failure.Park())
    before = shell.instance
    assert before is not None

    shell.advance(1_000)

    after = shell.instance
    assert after is not None
    assert after.backlog.size == 1
    assert after.backlog.next == before.backlog.next
    assert after.backlog.first == min(shell.backlog)


def test_a_passing_start_may_end_the_instance_in_the_same_step() -> None:
    manager = WithAfterCommand(
        lambda _state, _command, _metadata: AfterCommand.STOP,
        on_not_started(failure.Retry(delay=60), None),
    )
    shell = Shell(manager)
    shell.arrive(Happened("early"), EARLY)
    before = shell.record

    done = shell.arrive(Happened("start", ("x",)))

    assert done.outcome is Outcome.ENDED
    assert shell.emitted == ["x"]
    assert shell.record == before
