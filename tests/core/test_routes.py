"""Every cell of ROUTES, what an input may find, and how interested() may answer."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Any

import pytest

from pmstream.core import failure, routing
from pmstream.core.engine import DeadLetter, Dropped, Halt, Outcome, Routing, route
from pmstream.core.failure import Stage
from pmstream.core.instance import Status
from pmstream.core.lifecycle import (
    Condition,
)
from pmstream.core.process import bind
from pmstream.core.routing import CREATING, ROUTES, Action, Route, resolve
from pmstream.errors import AlreadyStarted, InvalidRoute, NotStarted
from tests.core.kit import (
    START,
    Boom,
    Happened,
    Scripted,
    Seen,
    answers,
    routed,
)
from tests.core.shell import Shell

OUTCOMES = {
    Action.CREATE: Outcome.HANDLED,
    Action.HANDLE: Outcome.HANDLED,
    Action.DELETE: Outcome.ENDED,
    Action.NOTHING: Outcome.IGNORED,
    Action.LATE: Outcome.LATE,
    Action.FAIL: Outcome.SKIPPED,
}


@pytest.mark.parametrize(("route", "status"), ROUTES)
def test_an_input_does_what_its_cell_of_routes_says(route: str, status: Status) -> None:
    action, error = ROUTES[route, status]
    manager = Scripted(answers(failure.Skip()), completed_for=60)
    shell = Shell(manager)
    exists = status is Status.RUNNING
    if status is not Status.ABSENT:
        shell.arrive(Happened("first"))
    if status is Status.COMPLETED:
        shell.arrive(Happened("end"), Route.STOP)
    record = shell.record

    done = shell.arrive(Happened("second", ("command",)), Route(route))

    before = ("first",) if exists else ()
    assert done.outcome is OUTCOMES[action]
    if action in (Action.CREATE, Action.HANDLE):
        assert shell.state == Seen((*before, "second"))
        assert shell.emitted == ["command"]
    elif action is Action.FAIL:
        assert shell.state == (Seen(before) if exists else None)
        assert [type(each) for each, _, _ in manager.failures] == [error]
        assert manager.contexts[0].stage is Stage.ROUTING
        assert manager.contexts[0].state == Seen(before)
        assert not manager.contexts[0].stacktrace
    else:
        assert (shell.record == record) == (action is not Action.DELETE)
        assert shell.condition is not Condition.IDLE
        assert shell.state is None
        assert not shell.emitted


@pytest.mark.parametrize("route", Route)
def test_every_route_has_all_cells_and_creates_or_not(route: Route) -> None:
    assert {status for each, status in ROUTES if each == route} == set(Status)
    assert (route in CREATING) == (ROUTES[route, Status.ABSENT][0] is Action.CREATE)


def test_an_event_that_finds_no_instance_and_is_skipped_leaves_no_record() -> None:
    shell = Shell(Scripted(answers(failure.Skip())))

    shell.arrive(Happened("late"), Route.CONTINUE_EXISTING)

    assert shell.record is None
    assert shell.condition is Condition.ABSENT


def test_stop_calls_neither_handle_nor_apply() -> None:
    shell = Shell(Scripted())
    shell.arrive(Happened("first"))

    done = shell.arrive(Happened("last", ("never",), raises="handle"), Route.STOP)

    assert done.instance is None
    assert not shell.emitted


def test_an_ended_process_uuid_starts_anew() -> None:
    shell = Shell(Scripted())
    for name, path in (("first", Route.START), ("end", Route.STOP), ("again", Route.START_NEW)):
        shell.arrive(Happened(name), path)

    assert shell.state == Seen(("again",))
    assert shell.instance is not None
    assert shell.instance.born == "orders-2-2"


@pytest.mark.parametrize(
    ("route", "error", "words"),
    [
        (Route.CONTINUE_EXISTING, NotStarted, "ContinueExisting met no instance p-1"),
        (Route.START_NEW, AlreadyStarted, "StartNew met the instance p-1"),
    ],
)
def test_a_strict_route_says_what_it_met(route: Route, error: type[Exception], words: str) -> None:
    manager = Scripted(answers(failure.Skip()))
    shell = Shell(manager)
    if error is AlreadyStarted:
        shell.arrive(Happened("first"))

    shell.arrive(Happened("strict"), route)

    assert [(type(each), str(each)) for each, _, _ in manager.failures] == [(error, words)]


class Colour(StrEnum):
    RED = "red"


class BrokenIds:
    def __iter__(self) -> Iterator[str]:
        yield "a"
        raise Boom("among the ids")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, None),
        (False, None),
        (routing.Start([]), None),
        (routing.Stop(()), None),
        (routing.Start("a"), (Route.START, ["a"], 0)),
        (routing.StartNew("a"), (Route.START_NEW, ["a"], 0)),
        (routing.Continue("a"), (Route.CONTINUE, ["a"], 0)),
        (routing.ContinueExisting("a"), (Route.CONTINUE_EXISTING, ["a"], 0)),
        (routing.Stop("a"), (Route.STOP, ["a"], 0)),
        (routing.Start(["b", "a", "b"]), (Route.START, ["b", "a"], 0)),
        (routing.Start(each for each in "ba"), (Route.START, ["b", "a"], 0)),
        (routing.Start({"c", "a", "b"}), (Route.START, ["a", "b", "c"], 0)),
        (routing.Start(Colour.RED), (Route.START, ["red"], 0)),
        (routing.Start([Colour.RED, "red"]), (Route.START, ["red"], 0)),
        (routing.Start("ü" * 127), (Route.START, ["ü" * 127], 0)),
        (routing.Start("x" * 255), (Route.START, ["x" * 255], 0)),
    ],
)
def test_interested_may_answer(answer: object, expected: object) -> None:
    resolved = resolve(answer, 3)

    assert resolved == expected
    assert resolved is None or all(type(each) is str for each in resolved[1])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (True, "interested\\(\\) answered True"),
        ("a", "interested\\(\\) answered 'a'"),
        (failure.Stop("a"), "interested\\(\\) answered Stop"),
        (routing.Start, "interested\\(\\) answered <class"),
        (routing.Start(""), "has 0 bytes"),
        (routing.Start("a\0b"), "no NUL"),
        (routing.Start("x" * 256), "has 256 bytes"),
        (routing.Start("ü" * 128), "has 256 bytes"),
        (routing.Start("\ud800"), "not valid UTF-8"),
        (routing.Start(7), "not 7"),  # type: ignore[arg-type]
        (routing.Start(None), "not None"),  # type: ignore[arg-type]
        (routing.Start(b"a"), "not b'a'"),  # type: ignore[arg-type]
        (routing.Start(["a", 7]), "must be text, not 7"),  # type: ignore[list-item]
        (routing.Start(["a", ""]), "has 0 bytes"),
        (routing.Start("abcd"[each] for each in range(4)), "fan_out_limit, 3"),
    ],
)
def test_interested_may_not_answer(answer: object, words: str) -> None:
    with pytest.raises(InvalidRoute, match=words):
        resolve(answer, 3)


def test_a_repeated_id_does_not_count_towards_the_limit() -> None:
    assert resolve(routing.Start(["a", "b", "c", "a", "b"]), 3) == (
        Route.START,
        ["a", "b", "c"],
        0,
    )


def test_an_endless_iterable_of_ids_ends_at_the_limit() -> None:
    def numbers() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield str(number)

    with pytest.raises(InvalidRoute, match="fan_out_limit, 1000"):
        resolve(routing.Start(numbers()), 1_000)


class Router(Scripted):
    """Its interested() answers what the test gave, or raises it."""

    def __init__(self, gives: Any, error: Any = None) -> None:
        super().__init__(error)
        self.gives = gives

    def interested(self, event: Happened) -> Any:
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


EVENT = Happened("placed")
PLACE = routed(EVENT, uuid="")


def ask(manager: Router) -> Routing:
    return route(bind(manager), EVENT, PLACE, (), START)


def test_the_router_learns_where_an_event_goes() -> None:
    assert ask(Router(routing.Continue(["a", "b"]))) == Routing(Route.CONTINUE, ["a", "b"])
    assert ask(Router(None)) == Routing()


@pytest.mark.parametrize(
    "gives",
    [Boom("no"), 7, routing.Start(BrokenIds()), routing.Start(7)],  # type: ignore[arg-type]
)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [(failure.Skip(), Dropped), (failure.Park("look"), DeadLetter), (failure.Stop("so"), Halt)],
)
def test_a_failed_interested_becomes_a_value(gives: Any, answer: Any, expected: type) -> None:
    routing_ = ask(Router(gives, answers(answer)))

    assert routing_.route is None
    assert type(routing_.failure) is expected


def test_a_failed_interested_is_told_what_is_known() -> None:
    manager = Router(Boom("no"), answers(failure.Park()))

    found = ask(manager)

    assert found.failure == DeadLetter("no", "Boom: no")
    error, failed, context = manager.failures[0]
    assert isinstance(error, Boom)
    assert failed is EVENT
    assert (context.stage, context.state, context.attempts) == (Stage.INTERESTED, Seen(), 1)
    assert context.first_failed_at == START
    assert context.last_event is EVENT
    assert "Boom: no" in context.stacktrace


def test_a_router_that_stops_says_where() -> None:
    found = ask(Router(Boom("no")))

    assert found.failure == Halt(
        "process manager scripted stops at event orders-2-0 (Happened): Boom: no"
    )
