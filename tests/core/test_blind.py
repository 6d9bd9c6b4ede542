"""Callbacks that take no Metadata: none is made for them, and nobody else misses it."""

from typing import Any

import pytest

from pmstream import timers
from pmstream.core import failure, routing
from pmstream.core.engine import Outcome, route
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.process import AfterCommand, ProcessManager, bind
from tests.core.kit import START, UUID, Boom, Do, Happened, Scripted, Seen, routed
from tests.core.shell import Shell


class Blind(Scripted):
    """Scripted, by the event alone."""

    def interested(self, event: Happened) -> routing.Answer:
        if event.raises == "interested":
            raise Boom("in interested")
        return routing.Start(event.name)

    def handle(self, state: Seen, event: Any) -> Any:  # type: ignore[override]
        if self.broken and event.raises == "handle":
            raise Boom("in handle")
        return [Do(each) for each in event.commands]

    def apply(self, state: Seen, event: Any) -> Seen:
        return Seen((*state.names, event.name))


class Sighted(Blind):
    """Only `apply` takes Metadata."""

    def apply(self, state: Seen, event: Any, metadata: Metadata) -> Seen:  # type: ignore[override]
        self.metadata.append(metadata)
        return Seen((*state.names, event.name))


class Waking(Blind):
    """Its after_command takes Metadata."""

    def after_command(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        self.metadata.append(metadata)
        return None


class Least(ProcessManager[Seen]):
    name, state = "least", Seen

    def interested(self, event: Happened, metadata: Metadata) -> routing.Answer:
        return None


def blindness(manager: ProcessManager[Seen]) -> tuple[bool, bool]:
    bound = bind(manager)
    return bound.routes_blindly, bound.handles_blindly


def test_it_is_found_out_when_callbacks_are_bound() -> None:
    assert blindness(Blind()) == (True, True)
    assert blindness(Sighted()) == (True, False)
    assert blindness(Scripted()) == (True, False)
    assert blindness(Least()) == (False, True)


def test_a_callback_of_the_instance_itself_counts_as_its_own() -> None:
    seen: list[Metadata] = []
    manager: Any = Blind()

    def handle(state: Seen, event: Any, metadata: Metadata) -> None:
        seen.append(metadata)

    manager.handle = handle
    Shell(manager).arrive(Happened("it"))

    assert [each.process_uuid for each in seen] == [UUID]


def test_commands_tell_where_they_come_from_although_no_metadata_was_made() -> None:
    blind, sighted = Shell(Blind()), Shell(Scripted())
    for shell in (blind, sighted):
        shell.arrive(Happened("it", ("a", "b")))

    assert len(blind.commands) == 2
    assert blind.commands == sighted.commands


def test_error_is_told_of_the_event_and_of_each_try() -> None:
    manager = Blind(lambda _error, _failed, _context: failure.Retry())
    shell = Shell(manager)
    shell.arrive(Happened("it", raises="handle"))

    told = [(each.metadata.process_uuid, each.metadata.attempt) for each in manager.contexts]
    assert told[:3] == [(UUID, 1), (UUID, 2), (UUID, 3)]
    assert {each.metadata.topic for each in manager.contexts} == {routed(Happened("it")).topic}


def test_apply_alone_may_take_it() -> None:
    manager = Sighted()
    Shell(manager).arrive(Happened("it"))

    assert [each.process_uuid for each in manager.metadata] == [UUID]


def test_after_command_receives_it() -> None:
    manager = Waking()
    Shell(manager).arrive(Happened("it", ("a",)))

    assert [(each.process_uuid, each.attempt) for each in manager.metadata] == [(UUID, 1)]


def test_a_timer_of_such_a_handler_carries_the_events_correlation() -> None:
    class Timing(Blind):
        def handle(self, state: Seen, event: Any) -> Any:  # type: ignore[override]
            return [timers.Set("later", after=1), Do("a")]

    shell = Shell(Timing())
    shell.arrive(Happened("it"))

    assert shell.instance is not None
    timer = shell.instance.timers.pending["later"]
    assert timer.correlation_id == dict(shell.commands[0].headers)["correlation-id"].decode()  # type: ignore[union-attr]


@pytest.mark.parametrize("headers", [(), (("event-id", b"e-1"), ("correlation-id", b"c-1"))])
def test_error_is_told_of_an_event_that_cannot_be_routed(headers: Any) -> None:
    told: list[FailureContext] = []

    def error(_error: Exception, _failed: Any, context: FailureContext) -> failure.Answer:
        told.append(context)
        return failure.Park()

    event = Happened("it", raises="interested")
    place = routed(event, uuid="")
    found = route(bind(Blind(error)), event, place, headers, START)

    assert found.route is None
    [context] = told
    assert (context.metadata.topic, context.metadata.offset) == (place.topic, place.offset)
    place_id = f"{place.topic}-{place.partition}-{place.offset}"
    assert context.metadata.event_id == ("e-1" if headers else place_id)
    assert context.metadata.correlation_id == ("c-1" if headers else place_id)


def test_what_is_handled_counts_as_handled() -> None:
    assert Shell(Blind()).arrive(Happened("it")).outcome is Outcome.HANDLED
