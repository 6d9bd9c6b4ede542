"""An order that delivers an event: it is an event like any other, or refused."""

from typing import Any

import msgspec
import pytest

from pmstream.core import failure
from pmstream.core.engine import Outcome
from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.core.routing import Route
from tests.core.kit import UUID, Happened, Scripted, answers, routed
from tests.core.shell import Shell


def plain(name: str, offset: int, route: Route = Route.START, **changes: Any) -> Any:
    """An event as it stands in an order."""
    event = msgspec.structs.replace(routed(Happened(name, (name,)), route, offset), **changes)
    return msgspec.to_builtins(event)


def test_it_begins_an_instance_as_the_event_would_have() -> None:
    shell = Shell(Scripted()).order(Verb.DELIVER, event=plain("late", 3))

    assert shell.outcomes == [Outcome.HANDLED]
    assert shell.emitted == ["late"]
    assert shell.commands[0].id == f"{UUID}/{routed(Happened('late'), Route.START, 3).cause}/0"


def test_it_waits_its_turn_behind_what_is_parked() -> None:
    shell = Shell(Scripted(answers(failure.Park("look"))))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("bad", ("a",), "handle"))

    shell.order(Verb.DELIVER, event=plain("late", 9))

    assert shell.outcomes[-1] is Outcome.QUEUED
    assert (shell.condition, shell.waiting) == (Condition.PARKED, ["late"])
    assert shell.refused == ""


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (None, "deliver needs `event`"),
        ("x", "deliver needs `event`"),
        (["event", UUID], "deliver needs `event`"),
        ([*plain("x", 1)[:2], "sideways", *plain("x", 1)[3:]], "deliver needs `event`"),
        ([*plain("x", 1)[:3], "not base64", *plain("x", 1)[4:]], "deliver needs `event`"),
        (plain("x", 1 << 63), "out of range"),
        (plain("x", -1), "out of range"),
        (plain("x", 1, process_uuid="other"), "the event is one of process 'other'"),
    ],
)
def test_what_is_no_event_of_the_process_is_refused(event: Any, why: str) -> None:
    shell = Shell(Scripted()).order(Verb.DELIVER, event=event)

    assert shell.outcomes == [Outcome.REFUSED]
    assert why in shell.refused
    assert shell.record is None
