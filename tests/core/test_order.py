"""The order of inputs: what waits behind unfinished work, and how it has its turn."""

import pytest

from pmstream.core import failure
from pmstream.core.engine import Due, Outcome, Take, Waiting
from pmstream.core.instance import (
    Backlog,
)
from pmstream.core.lifecycle import (
    Condition,
    DueKind,
)
from pmstream.core.routing import Route
from tests.core.kit import (
    UUID,
    Happened,
    Scripted,
    Seen,
    answers,
)
from tests.core.shell import Shell

LATER = failure.Retry(delay=1)
EARLY = Route.CONTINUE_EXISTING


def retrying() -> Shell:
    """An instance whose second event waits for its retry, with three events behind it."""
    shell = Shell(Scripted(answers(LATER)))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("failing", ("one",), "handle"))
    for name in ("a", "b", "c"):
        assert shell.arrive(Happened(name, (name,))).outcome is Outcome.QUEUED
    return shell


def test_what_arrives_behind_unfinished_work_waits_in_order() -> None:
    shell = retrying()

    assert shell.waiting == ["a", "b", "c"]
    assert shell.state == Seen(("first",))
    assert not shell.emitted


def test_a_successful_retry_lets_the_backlog_follow_in_order() -> None:
    shell = retrying()
    shell.manager.broken = False

    assert shell.advance(1_000) == [Outcome.HANDLED] * 4

    assert shell.state == Seen(("first", "failing", "a", "b", "c"))
    assert shell.emitted == ["one", "a", "b", "c"]
    assert shell.condition is Condition.IDLE
    assert shell.instance is not None
    assert shell.instance.backlog == Backlog()


def test_a_retry_that_fails_again_lets_nothing_follow() -> None:
    shell = retrying()

    assert shell.advance(1_000) == [Outcome.RETRYING]

    assert shell.waiting == ["a", "b", "c"]


def test_a_retry_is_not_tried_before_its_time() -> None:
    shell = retrying()
    before = shell.record

    assert shell.step(Due(DueKind.RETRY, UUID)).outcome is Outcome.IGNORED

    assert shell.record == before


@pytest.mark.parametrize("kind", DueKind)
def test_a_hint_about_nothing_is_ignored(kind: DueKind) -> None:
    shell = Shell(Scripted())

    done = shell.step(Due(kind, UUID))
    assert (done.outcome, done.instance, done.take) == (Outcome.IGNORED, None, None)

    shell.arrive(Happened("first"))
    before = shell.record
    done = shell.step(Due(kind, UUID))
    assert (done.outcome, done.take) == (Outcome.IGNORED, None)
    assert shell.record == before


def test_draining_goes_on_from_a_hint_and_what_arrives_meanwhile_waits() -> None:
    shell = retrying()
    shell.manager.broken = False
    shell.now += 1_000
    assert shell.step(Due(DueKind.RETRY, UUID)).take is Take.FIRST  # and the shell stops here

    assert shell.condition is Condition.DRAINING
    assert shell.arrive(Happened("d")).outcome is Outcome.QUEUED
    assert shell.step(Due(DueKind.RETRY, UUID)).outcome is Outcome.IGNORED
    assert shell.advance(0) == [Outcome.IGNORED, *[Outcome.HANDLED] * 4]
    assert shell.state == Seen(("first", "failing", "a", "b", "c", "d"))


def test_a_drain_hint_does_nothing_while_work_waits() -> None:
    shell = retrying()

    done = shell.step(Due(DueKind.DRAIN, UUID))

    assert (done.outcome, done.take) == (Outcome.IGNORED, None)


def test_an_input_from_the_backlog_that_fails_holds_back_the_rest() -> None:
    shell = retrying()
    shell.manager.broken = False
    shell.manager.answer = answers(failure.Park())
    shell.arrive(Happened("strict"), Route.START_NEW)
    shell.arrive(Happened("after"))

    shell.advance(1_000)

    assert shell.condition is Condition.PARKED
    assert shell.waiting == ["after"]
    assert shell.state == Seen(("first", "failing", "a", "b", "c"))


def test_a_stop_keeps_its_place_and_what_is_behind_meets_no_instance() -> None:
    shell = retrying()
    shell.manager.broken = False
    shell.arrive(Happened("end"), Route.STOP)
    shell.arrive(Happened("late"), Route.CONTINUE_EXISTING)
    shell.arrive(Happened("again"), Route.START)
    shell.manager.answer = answers(failure.Skip())

    outcomes = shell.advance(1_000)

    assert outcomes[4:] == [Outcome.ENDED, Outcome.SKIPPED, Outcome.HANDLED]
    assert shell.state == Seen(("again",))


def test_an_end_keeps_an_absent_record_for_its_backlog() -> None:
    shell = Shell(Scripted(answers(LATER)))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("failing", (), "handle"))
    shell.arrive(Happened("end"), Route.STOP)
    shell.arrive(Happened("late"), Route.STOP)
    shell.manager.broken = False
    shell.now += 1_000
    shell.step(Due(DueKind.RETRY, UUID))

    entry = shell.entry(Take.FIRST)
    assert entry is not None
    done = shell.step(Waiting(entry))

    assert (done.outcome, done.take) == (Outcome.ENDED, Take.FIRST)
    assert done.instance is not None
    assert not done.instance.exists
    assert not done.instance.state
    shell.drain(done)
    assert shell.record is None
