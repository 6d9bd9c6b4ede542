"""Early events that are held for their start, and late ones that meet a completed process."""

from itertools import permutations
from typing import Any

import pytest

from pmstream.core import failure, routing
from pmstream.core.engine import Due, Outcome
from pmstream.core.failure import FailureContext
from pmstream.core.lifecycle import Condition, DueKind
from pmstream.core.routing import Route, resolve
from pmstream.errors import AlreadyCompleted, InvalidRoute, NotStarted
from tests.core.kit import START, UUID, Error, Happened, Scripted, Seen, answers
from tests.core.shell import Shell

MINUTE = 60_000
EARLY = Route.CONTINUE_EXISTING


def shell_with(*given: Any, **options: Any) -> Shell:
    return Shell(Scripted(answers(*given or (failure.Skip(),)), **options))


def names(shell: Shell) -> tuple[str, ...]:
    assert isinstance(shell.state, Seen)
    return shell.state.names


def test_an_early_event_waits_for_its_start_and_is_tried_next() -> None:
    shell = shell_with()

    assert shell.arrive(Happened("early", ("x",)), EARLY, hold=MINUTE).outcome is Outcome.HELD
    assert (shell.condition, shell.state) == (Condition.HOLDING, None)
    shell.arrive(Happened("start"))
    shell.advance(0)

    assert names(shell) == ("start", "early")
    assert shell.emitted == ["x"]
    assert not shell.manager.failures


def test_held_events_keep_their_order_and_what_comes_behind_the_start_waits() -> None:
    shell = shell_with()
    for name in ("one", "two"):
        shell.arrive(Happened(name), EARLY, hold=MINUTE)
    shell.arrive(Happened("start"))
    shell.arrive(Happened("behind"), Route.CONTINUE)

    shell.advance(0)

    assert names(shell) == ("start", "one", "two", "behind")


def test_a_held_event_whose_time_is_up_fails_as_not_started() -> None:
    shell = shell_with()
    shell.arrive(Happened("early"), EARLY, hold=MINUTE)

    assert shell.advance(MINUTE - 1) == []
    assert shell.advance(1) == [Outcome.SKIPPED]

    assert isinstance(shell.manager.failures[0][0], NotStarted)
    assert shell.record is None


def test_each_held_event_has_its_own_time_from_its_arrival() -> None:
    shell = shell_with()
    shell.arrive(Happened("one"), EARLY, hold=MINUTE)
    shell.now += MINUTE // 2
    shell.arrive(Happened("two"), EARLY, hold=MINUTE)

    shell.advance(MINUTE // 2)
    assert shell.condition is Condition.HOLDING
    assert shell.work.due == START + MINUTE + MINUTE // 2
    shell.advance(MINUTE // 2)

    assert len(shell.manager.failures) == 2
    assert shell.record is None


def test_an_expired_one_that_is_to_be_retried_does_not_hold_anew() -> None:
    shell = shell_with(failure.Retry(delay=1))
    shell.arrive(Happened("early"), EARLY, hold=MINUTE)
    shell.advance(MINUTE)

    assert shell.advance(1_000) == [Outcome.RETRYING]
    shell.arrive(Happened("start"))
    shell.advance(0)

    assert names(shell) == ("start", "early")


def test_an_early_stop_is_held_and_ends_what_starts() -> None:
    shell = shell_with()
    shell.arrive(Happened("end"), Route.STOP, hold=MINUTE)
    shell.arrive(Happened("start", ("x",)))

    assert shell.advance(0) == [Outcome.ENDED]

    assert shell.record is None
    assert shell.emitted == ["x"]


def test_an_early_stop_whose_time_is_up_is_dropped_without_a_failure() -> None:
    shell = shell_with()
    shell.arrive(Happened("end"), Route.STOP, hold=MINUTE)

    assert shell.advance(MINUTE) == [Outcome.IGNORED]

    assert shell.record is None
    assert not shell.manager.failures


def test_a_hint_that_comes_before_the_time_changes_nothing() -> None:
    shell = shell_with()
    shell.arrive(Happened("early"), EARLY, hold=MINUTE)
    before = shell.record

    assert shell.step(Due(DueKind.START, UUID)).outcome is Outcome.IGNORED

    assert shell.record == before


def test_hold_means_nothing_to_an_instance_that_exists() -> None:
    shell = shell_with()
    shell.arrive(Happened("start"))

    assert shell.arrive(Happened("next"), EARLY, hold=MINUTE).outcome is Outcome.HANDLED


@pytest.mark.parametrize("order", list(permutations(range(5))))
def test_any_order_of_a_start_its_events_and_its_end_ends_alike(order: tuple[int, ...]) -> None:
    """Three topics keep no order between them: each of the 120 interleavings arrives."""
    shell = shell_with(completed_for=3_600)
    events = [
        ("start", Route.START, ("s",)),
        ("a", EARLY, ("a",)),
        ("b", EARLY, ("b",)),
        ("c", EARLY, ("c",)),
        ("d", EARLY, ("d",)),
    ]

    for each in order:
        name, route, commands = events[each]
        shell.arrive(Happened(name, commands), route, hold=0 if route is Route.START else MINUTE)
        shell.advance(0)
    shell.advance(0)

    assert sorted(shell.emitted) == ["a", "b", "c", "d", "s"]
    assert sorted(names(shell)) == ["a", "b", "c", "d", "start"]
    assert names(shell)[0] == "start"
    assert shell.condition is Condition.IDLE


@pytest.mark.parametrize("hold", [-1, "soon", True])
def test_an_illegal_hold_is_an_invalid_route(hold: Any) -> None:
    with pytest.raises(InvalidRoute, match="hold is"):
        resolve(routing.ContinueExisting("a", hold=hold), 3)


# A halt


def _error(early: failure.Answer) -> Error:
    """Answers so to what is early, gives `busy` a second, and ends the process manager else."""

    def error(raised: Exception, failed: Any, context: FailureContext) -> failure.Answer:
        if isinstance(raised, NotStarted):
            return early
        if failed.name == "busy":
            return failure.Retry(delay=1) if context.attempts == 1 else failure.Skip()
        return failure.Stop(raised)

    return error


EARLIES = [(failure.Retry(delay=60), 0), (failure.Park(), 0), (failure.Skip(), MINUTE)]
"""What waits for its start: retried, parked, held."""


@pytest.mark.parametrize(("early", "hold"), EARLIES)
def test_a_start_from_the_backlog_that_halts_keeps_its_place(
    early: failure.Answer, hold: int
) -> None:
    shell = Shell(Scripted(_error(early)))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("busy", raises="handle"))
    shell.arrive(Happened("end"), Route.STOP)
    shell.arrive(Happened("early"), EARLY, hold=hold)
    shell.arrive(Happened("halts", raises="handle"))

    assert shell.advance(1_000)[-1] is Outcome.HALTED

    # What comes now waits behind it, and somebody calls for it once there is a worker again.
    assert shell.arrive(Happened("later")).outcome is Outcome.QUEUED
    assert shell.advance(0) == [Outcome.HALTED]
    shell.manager.broken = False
    assert shell.advance(0)[0] is Outcome.HANDLED
    expected = ("halts",) if early == failure.Park() else ("halts", "early", "later")
    assert names(shell) == expected
    assert shell.instance is not None
    assert shell.instance.backlog.size == (early == failure.Park())


# Completed


def completed(**options: Any) -> Shell:
    shell = shell_with(completed_for=60, **options)
    shell.arrive(Happened("start"))
    shell.arrive(Happened("end"), Route.STOP)
    return shell


@pytest.mark.parametrize("route", [Route.START, Route.CONTINUE, Route.CONTINUE_EXISTING])
def test_a_late_event_does_not_begin_a_completed_process_anew(route: Route) -> None:
    shell = completed()
    before = shell.record

    assert shell.arrive(Happened("late", ("x",)), route, hold=0).outcome is Outcome.LATE

    assert shell.record == before
    assert not shell.emitted


def test_a_strict_start_meets_the_marker_and_may_not_wait() -> None:
    shell = shell_with(failure.Retry(delay=1), completed_for=60)
    shell.arrive(Happened("start"))
    shell.arrive(Happened("end"), Route.STOP)

    assert shell.arrive(Happened("again"), Route.START_NEW).outcome is Outcome.HALTED

    assert isinstance(shell.manager.failures[0][0], AlreadyCompleted)


def test_once_the_marker_has_expired_the_process_may_begin_anew() -> None:
    shell = completed()

    shell.advance(60_000)
    assert shell.record is None
    shell.arrive(Happened("again"), Route.START_NEW)

    assert names(shell) == ("again",)


def test_a_hint_about_a_marker_that_is_not_due_leaves_it() -> None:
    shell = completed()

    shell.step(Due(DueKind.MARKER, UUID))

    assert shell.condition is Condition.COMPLETED


def test_a_parked_start_outlives_the_marker() -> None:
    shell = shell_with(failure.Park(), completed_for=60)
    shell.arrive(Happened("start"))
    shell.arrive(Happened("end"), Route.STOP)
    shell.arrive(Happened("again"), Route.START_NEW)

    shell.advance(60_000)

    assert shell.condition is Condition.PARKED
    assert shell.instance is not None
    assert not shell.instance.exists
