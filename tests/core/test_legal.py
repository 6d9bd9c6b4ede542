"""Every cell of LEGAL: a legal answer does what it says, an illegal one stops and names it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from pmstream.core import failure, routing
from pmstream.core.engine import Outcome, Step, route
from pmstream.core.failure import LEGAL, FailureContext, Kind, Stage
from pmstream.core.process import bind
from tests.core.kit import (
    START,
    Boom,
    Do,
    Error,
    Happened,
    Scripted,
    Seen,
    answers,
    routed,
)
from tests.core.scenes import (
    after_command_fails,
    apply_fails,
    command_fails,
    event_fails,
    final_route_fails,
    route_fails,
)
from tests.core.shell import Shell

SCENES: list[tuple[Kind, Callable[[Error], tuple[Shell, Step]]]] = [
    (Kind.ROUTE, route_fails),
    (Kind.FINAL_ROUTE, final_route_fails),
    (Kind.EVENT, event_fails),
    (Kind.EVENT, apply_fails),
    (Kind.COMMAND, command_fails),
    (Kind.AFTER_COMMAND, after_command_fails),
]

STAGES = {
    route_fails: Stage.ROUTING,
    final_route_fails: Stage.ROUTING,
    event_fails: Stage.HANDLE,
    apply_fails: Stage.APPLY,
    command_fails: Stage.DISPATCH,
    after_command_fails: Stage.AFTER_COMMAND,
}

LATER = failure.Retry({"n": 1}, delay=5)

ANSWERS: dict[type, Any] = {
    failure.Retry: LATER,
    failure.Skip: failure.Skip(),
    failure.SkipContinuePending: failure.SkipContinuePending(),
    failure.SkipDiscardPending: failure.SkipDiscardPending(),
    failure.ContinueWith: failure.ContinueWith([Do("x"), Do("y")]),
    failure.Park: failure.Park("look"),
    failure.Stop: failure.Stop("enough"),
}


class Cell(NamedTuple):
    outcome: Outcome
    emitted: list[str]
    counts: bool


DROPPED = Cell(Outcome.SKIPPED, [], counts=False)
LATE = Cell(Outcome.RETRYING, [], counts=False)
PARKED = Cell(Outcome.PARKED, [], counts=False)
STOPPED = Cell(Outcome.HALTED, [], counts=False)
ALL = ["a", "b", "c"]

EXPECTED: dict[tuple[Kind, type], Cell] = {
    (Kind.ROUTE, failure.Retry): LATE,
    (Kind.ROUTE, failure.Skip): DROPPED,
    (Kind.ROUTE, failure.Park): PARKED,
    (Kind.ROUTE, failure.Stop): STOPPED,
    (Kind.FINAL_ROUTE, failure.Skip): DROPPED,
    (Kind.FINAL_ROUTE, failure.Park): PARKED,
    (Kind.FINAL_ROUTE, failure.Stop): STOPPED,
    (Kind.EVENT, failure.Retry): LATE,
    (Kind.EVENT, failure.Skip): DROPPED,
    (Kind.EVENT, failure.Park): PARKED,
    (Kind.EVENT, failure.Stop): STOPPED,
    (Kind.COMMAND, failure.Retry): LATE,
    (Kind.COMMAND, failure.Skip): Cell(Outcome.HANDLED, ["a", "c", "d"], counts=True),
    (Kind.COMMAND, failure.SkipContinuePending): Cell(
        Outcome.HANDLED, ["a", "c", "d"], counts=True
    ),
    (Kind.COMMAND, failure.SkipDiscardPending): Cell(Outcome.HANDLED, ["a"], counts=True),
    (Kind.COMMAND, failure.ContinueWith): Cell(Outcome.HANDLED, ["a", "x", "y"], counts=True),
    (Kind.COMMAND, failure.Park): PARKED,
    (Kind.COMMAND, failure.Stop): STOPPED,
    (Kind.AFTER_COMMAND, failure.Retry): Cell(Outcome.RETRYING, ALL, counts=True),
    (Kind.AFTER_COMMAND, failure.Skip): Cell(Outcome.HANDLED, ALL, counts=True),
    (Kind.AFTER_COMMAND, failure.Park): Cell(Outcome.PARKED, ALL, counts=True),
    (Kind.AFTER_COMMAND, failure.Stop): STOPPED,
}

LEGAL_CELLS = [
    pytest.param(kind, scene, answer, id=f"{scene.__name__}-{answer.__name__}")
    for kind, scene in SCENES
    for answer in ANSWERS
    if answer in LEGAL[kind]
]
ILLEGAL_CELLS = [
    pytest.param(kind, scene, answer, id=f"{scene.__name__}-{answer.__name__}")
    for kind, scene in SCENES
    for answer in ANSWERS
    if answer not in LEGAL[kind]
]


def test_every_cell_of_the_table_is_tested() -> None:
    cells = {(kind, answer) for kind, legal in LEGAL.items() for answer in legal}

    assert cells == set(EXPECTED) | {(Kind.INTERESTED, each) for each in LEGAL[Kind.INTERESTED]}


@pytest.mark.parametrize(("kind", "scene", "answer"), LEGAL_CELLS)
def test_a_legal_answer(kind: Kind, scene: Any, answer: type) -> None:
    shell, done = scene(answers(ANSWERS[answer]))

    expected = EXPECTED[kind, answer]
    assert done.outcome is expected.outcome
    assert shell.emitted == expected.emitted
    first = () if scene is route_fails else ("first",)
    names = (*first, "it") if expected.counts else first
    assert shell.state == (Seen(names) if names else None)
    assert shell.manager.contexts[0].stage is STAGES[scene]


@pytest.mark.parametrize(("kind", "scene", "answer"), ILLEGAL_CELLS)
def test_an_illegal_answer_stops_and_is_named(kind: Kind, scene: Any, answer: type) -> None:
    shell, done = scene(answers(ANSWERS[answer]))

    error = shell.manager.failures[0][0]
    assert done.outcome is Outcome.HALTED
    assert not shell.emitted
    assert shell.halted is not None
    assert f"{type(error).__name__}: {error}" in shell.halted
    assert f"error() answered {answer.__name__}, illegal when {kind}" in shell.halted


@pytest.mark.parametrize(("_kind", "scene"), SCENES)
@pytest.mark.parametrize("nonsense", [None, "skip", 7, failure.Skip, routing.Stop("p-1")])
def test_what_is_no_answer_stops(_kind: Kind, scene: Any, nonsense: object) -> None:
    shell, done = scene(answers(nonsense))

    assert done.outcome is Outcome.HALTED
    assert f"error() answered {type(nonsense).__name__}, illegal when" in shell.halted


@pytest.mark.parametrize(("_kind", "scene"), SCENES)
def test_an_error_that_raises_stops_with_the_original_error(_kind: Kind, scene: Any) -> None:
    def error(error: Exception, failed: Any, context: FailureContext) -> Any:
        raise KeyError("x")

    shell, done = scene(error)

    original = shell.manager.failures[0][0]
    assert done.outcome is Outcome.HALTED
    assert shell.halted.endswith(
        f"{type(original).__name__}: {original}; error() itself raised KeyError: 'x'"
    )


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_the_router_may_be_answered(answer: type) -> None:
    class Broken(Scripted):
        def interested(self, event: Happened) -> routing.Answer:
            raise Boom("no")

    event = Happened("it")

    manager = bind(Broken(answers(ANSWERS[answer])))
    found = route(manager, event, routed(event, uuid=""), (), START).failure

    if answer in LEGAL[Kind.INTERESTED]:
        assert "illegal" not in str(found)
    else:
        assert isinstance(found, failure.Halt)
        assert f"answered {answer.__name__}, illegal when interested raised" in found.reason
