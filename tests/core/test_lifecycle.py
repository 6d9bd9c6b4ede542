"""Every edge of LIFECYCLE is walked by a recipe; the random walk knows no other."""

from collections.abc import Callable

import pytest

from pmstream.core import failure
from pmstream.core.instance import LIFECYCLE, Condition
from pmstream.core.routing import Route
from tests.core.kit import Happened, Scripted, Shell, answers

ABSENT, IDLE, RETRYING, PARKED, DRAINING = (
    Condition.ABSENT,
    Condition.IDLE,
    Condition.RETRYING,
    Condition.PARKED,
    Condition.DRAINING,
)
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


def ended() -> Shell:
    shell = Shell(Scripted())
    shell.arrive(Happened("first"))
    shell.arrive(Happened("end"), Route.STOP)
    return shell


RECIPES: dict[tuple[Condition, Condition], Callable[[], Shell]] = {
    (ABSENT, IDLE): lambda: fails(SKIP),
    (ABSENT, RETRYING): lambda: fails(LATER, started=False),
    (ABSENT, PARKED): lambda: fails(PARK, started=False),
    (IDLE, RETRYING): lambda: fails(LATER),
    (IDLE, PARKED): lambda: fails(PARK),
    (IDLE, ABSENT): ended,
    (RETRYING, IDLE): lambda: succeeds(fails(LATER)),
    (RETRYING, DRAINING): lambda: behind(Route.START),
    (RETRYING, PARKED): lambda: retried(PARK),
    (RETRYING, ABSENT): lambda: retried(SKIP, started=False),
    (PARKED, RETRYING): lambda: passed(LATER),
    (DRAINING, IDLE): lambda: behind(Route.START),
    (DRAINING, RETRYING): lambda: behind(Route.STOP, Route.CONTINUE_EXISTING, answer=LATER),
    (DRAINING, PARKED): lambda: behind(Route.START_NEW),
    (DRAINING, ABSENT): lambda: behind(Route.STOP),
}

EDGES = {(before, after) for before, ways in LIFECYCLE.items() for after in ways}


def test_every_edge_has_a_recipe() -> None:
    assert set(RECIPES) == EDGES


@pytest.mark.parametrize("edge", RECIPES, ids=lambda edge: f"{edge[0]}-to-{edge[1]}")
def test_an_edge_is_walked(edge: tuple[Condition, Condition]) -> None:
    assert edge in RECIPES[edge]().edges


def test_every_condition_can_be_left_and_reached() -> None:
    assert set(LIFECYCLE) == set(Condition) == {after for _, after in EDGES}
