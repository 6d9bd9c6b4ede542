"""Every edge of LIFECYCLE is walked by a recipe; the random walk knows no other."""

from collections.abc import Callable

import pytest

from pmstream.core import failure
from pmstream.core.engine import Reply
from pmstream.core.lifecycle import (
    LIFECYCLE,
    Condition,
)
from pmstream.core.orders import Verb
from pmstream.core.process import AfterCommand, bind
from pmstream.core.routing import Route
from tests.core.kit import Happened, Scripted, WithAfterCommand, answers
from tests.core.shell import Shell

ABSENT, IDLE, RETRYING, AWAITING, PARKED, HOLDING, DRAINING, COMPLETED = Condition
LATER, PARK, SKIP = failure.Retry(delay=1), failure.Park(), failure.Skip()


def fails(*given: object, started: bool = True) -> Shell:
    """An event failed and got the first of these answers."""
    shell = Shell(Scripted(answers(*given)))
    if started:
        shell.arrive(Happened("first"))
    shell.arrive(Happened("failing", (), "handle"))
    return shell


def succeeds(shell: Shell) -> Shell:
    shell.manager.broken = False
    shell.advance(1_000)
    return shell


def retried(*given: object, started: bool = True) -> Shell:
    shell = fails(LATER, *given, started=started)
    shell.advance(1_000)
    return shell


def behind(*routes: Route, answer: object = PARK) -> Shell:
    """A retry succeeds with these inputs behind it; the strict one among them fails."""
    shell = fails(LATER, answer)
    for route in routes:
        shell.arrive(Happened(route), route)
    return succeeds(shell)


def passed(answer: object) -> Shell:
    """An early event is parked, then a start passes it and fails."""
    shell = Shell(Scripted(answers(PARK, answer)))
    shell.arrive(Happened("early"), Route.CONTINUE_EXISTING)
    shell.arrive(Happened("failing", (), "handle"))
    return shell


def ended(*more: Route, **options: object) -> Shell:
    """A process ended, and these inputs follow."""
    shell = Shell(Scripted(answers(PARK), **options))
    shell.arrive(Happened("first"))
    for route in (Route.STOP, *more):
        shell.arrive(Happened("next"), route)
    return shell


def confirming(answer: object = SKIP, *, started: bool = False) -> Shell:
    """A command is out, its reply is awaited."""
    shell = Shell(Scripted(answers(answer), dispatch="confirm"))
    if started:
        shell.arrive(Happened("first"))
    shell.arrive(Happened("asks", ("do",)))
    return shell


def answered(answer: object = SKIP, *behind: str, accepted: bool = True) -> Shell:
    shell = confirming(answer)
    for each in behind:
        shell.arrive(Happened(each), drain=False)
    command = shell.commands[0]
    first = shell.step(Reply(command.id, accepted))
    shell.drain(first)
    return shell


def ends_after_command(*fails: object, **options: object) -> Shell:
    """An event's command ends the process; before that, the event fails with these answers."""
    stop = AfterCommand.STOP
    manager = WithAfterCommand(lambda *_: stop, answers(*fails, SKIP), **options)
    shell = Shell(manager)
    shell.arrive(Happened("asks", ("do",), "handle" if fails else ""))
    manager.broken = False
    shell.advance(1_000)
    return shell


def answered_and_ended(**options: object) -> Shell:
    shell = ends_after_command(dispatch="confirm", **options)
    shell.reply(shell.commands[0], accepted=True)
    return shell


def early(answer: object = SKIP, *behind: Happened) -> Shell:
    """Early events wait for their start."""
    shell = Shell(Scripted(answers(answer), dispatch="confirm"))
    for each in (Happened("early"), *behind):
        shell.arrive(each, Route.CONTINUE_EXISTING, hold=1_000)
    return shell


def too_late(answer: object = SKIP, *behind: Happened) -> Shell:
    shell = early(answer, *behind)
    shell.advance(1_000)
    return shell


def early_behind_a_retry() -> Shell:
    """An early event comes when the one before it has just been given up."""
    shell = fails(LATER, SKIP, started=False)
    shell.arrive(Happened("early"), Route.CONTINUE_EXISTING, hold=60_000)
    shell.advance(1_000)
    return shell


def start_passes(shell: Shell, event: Happened) -> Shell:
    shell.arrive(event)
    return shell


def undecodable() -> Shell:
    shell = ended(completed_for=60)
    shell.coder.can_read = False
    shell.arrive(Happened("new"), Route.START_NEW)
    return shell


def expired() -> Shell:
    shell = ended(completed_for=1)
    shell.advance(1_000)
    return shell


def asks_behind_a_retry() -> Shell:
    shell = Shell(Scripted(answers(LATER), dispatch="confirm"))
    shell.arrive(Happened("failing", (), "handle"))
    shell.arrive(Happened("asks", ("do",)))
    return succeeds(shell)


def retry_asks() -> Shell:
    shell = Shell(Scripted(answers(LATER), dispatch="confirm"))
    shell.arrive(Happened("failing", ("do",), "handle"))
    return succeeds(shell)


def retry_is_late() -> Shell:
    """A retry that waits for its start meets the marker of a process that began and ended."""
    return ends_after_command(LATER, completed_for=60)


def stop_behind_a_retry() -> Shell:
    shell = fails(LATER, SKIP)
    shell.callbacks = bind(Scripted(answers(SKIP), completed_for=60))
    shell.arrive(Happened("end"), Route.STOP)
    return succeeds(shell)


def ended_by_an_operator() -> Shell:
    shell = fails(PARK)
    shell.callbacks = bind(Scripted(completed_for=60))
    return shell.order(Verb.STOP)


RECIPES: dict[tuple[Condition, Condition], Callable[[], Shell]] = {
    (ABSENT, IDLE): lambda: fails(SKIP),
    (ABSENT, RETRYING): lambda: fails(LATER, started=False),
    (ABSENT, PARKED): lambda: fails(PARK, started=False),
    (ABSENT, AWAITING): confirming,
    (ABSENT, HOLDING): early,
    (ABSENT, COMPLETED): lambda: ends_after_command(completed_for=60),
    (IDLE, RETRYING): lambda: fails(LATER),
    (IDLE, PARKED): lambda: fails(PARK),
    (IDLE, AWAITING): lambda: confirming(started=True),
    (IDLE, COMPLETED): lambda: ended(completed_for=60),
    (IDLE, ABSENT): ended,
    (RETRYING, IDLE): lambda: succeeds(fails(LATER)),
    (RETRYING, DRAINING): lambda: behind(Route.START),
    (RETRYING, PARKED): lambda: retried(PARK),
    (RETRYING, AWAITING): retry_asks,
    (RETRYING, COMPLETED): retry_is_late,
    (RETRYING, ABSENT): lambda: retried(SKIP, started=False),
    (AWAITING, IDLE): answered,
    (AWAITING, DRAINING): lambda: answered(SKIP, "behind"),
    (AWAITING, RETRYING): lambda: answered(LATER, accepted=False),
    (AWAITING, PARKED): lambda: answered(PARK, accepted=False),
    (AWAITING, COMPLETED): lambda: answered_and_ended(completed_for=60),
    (AWAITING, ABSENT): answered_and_ended,
    (PARKED, RETRYING): lambda: passed(LATER),
    (PARKED, IDLE): lambda: fails(PARK).order(Verb.SKIP),
    (PARKED, DRAINING): lambda: start_passes(fails(PARK), Happened("next")).order(Verb.SKIP),
    (PARKED, ABSENT): lambda: fails(PARK).order(Verb.STOP),
    (PARKED, COMPLETED): ended_by_an_operator,
    (PARKED, AWAITING): lambda: start_passes(too_late(PARK), Happened("asks", ("do",))),
    (HOLDING, RETRYING): lambda: start_passes(early(), Happened("start")),
    (HOLDING, PARKED): lambda: too_late(PARK),
    (HOLDING, AWAITING): lambda: start_passes(early(), Happened("asks", ("do",))),
    (HOLDING, DRAINING): lambda: too_late(SKIP, Happened("another")),
    (HOLDING, ABSENT): too_late,
    (DRAINING, IDLE): lambda: behind(Route.START),
    (DRAINING, RETRYING): lambda: behind(Route.STOP, Route.CONTINUE_EXISTING, answer=LATER),
    (DRAINING, PARKED): lambda: behind(Route.START_NEW),
    (DRAINING, AWAITING): asks_behind_a_retry,
    (DRAINING, HOLDING): early_behind_a_retry,
    (DRAINING, COMPLETED): stop_behind_a_retry,
    (DRAINING, ABSENT): lambda: behind(Route.STOP),
    (COMPLETED, RETRYING): undecodable,
    (COMPLETED, PARKED): lambda: ended(Route.START_NEW, completed_for=60),
    (COMPLETED, ABSENT): expired,
}

EDGES = {(before, after) for before, ways in LIFECYCLE.items() for after in ways}


def test_every_edge_has_a_recipe() -> None:
    assert set(RECIPES) == EDGES


@pytest.mark.parametrize("edge", RECIPES, ids=lambda edge: f"{edge[0]}-to-{edge[1]}")
def test_an_edge_is_walked(edge: tuple[Condition, Condition]) -> None:
    assert edge in RECIPES[edge]().edges


def test_every_condition_can_be_left_and_reached() -> None:
    assert set(LIFECYCLE) == set(Condition) == {after for _, after in EDGES}
