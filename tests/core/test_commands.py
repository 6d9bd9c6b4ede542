"""Commands and state: what handle and apply may answer, and what a command carries."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.engine import Arrived, Encoded, Outcome
from pmstream.core.failure import Stage
from pmstream.core.instance import Status
from pmstream.core.messages import Headers, Metadata
from pmstream.core.process import ProcessManager
from pmstream.core.routing import Route
from pmstream.errors import StateInvalid, StateNewer
from tests.core.kit import (
    MAX_STATE_BYTES,
    Boom,
    Do,
    Happened,
    JsonCoder,
    Scripted,
    Seen,
    WithAfterCommand,
    answers,
    routed,
    whats,
)
from tests.core.scenes import command_fails
from tests.core.shell import Shell


class Gives(Scripted):
    """Its handle() answers what the test gave; so does its apply(), if that was given."""

    def __init__(self, commands: Any, state: Any = None) -> None:
        super().__init__(answers(failure.Skip()))
        self.gives = commands
        self.becomes = state

    def handle(self, state: Seen, event: Happened, *args: Any) -> Any:
        return self.gives

    def apply(self, state: Seen, event: Happened) -> Any:
        return super().apply(state, event) if self.becomes is None else self.becomes


@pytest.mark.parametrize(
    ("given", "emitted"),
    [
        (None, []),
        ([], []),
        (Do("a"), ["a"]),
        ([Do("a"), Do("b")], ["a", "b"]),
        ((Do("a"),), ["a"]),
        ((Do(each) for each in "ab"), ["a", "b"]),
        ({"x": Do("a")}.values(), ["a"]),
    ],
)
def test_handle_may_answer(given: Any, emitted: list[str]) -> None:
    shell = Shell(Gives(given))

    assert shell.arrive(Happened("it")).outcome is Outcome.HANDLED
    assert shell.emitted == emitted


def broken() -> Iterator[Do]:
    yield Do("a")
    raise Boom("among the commands")


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ("a", TypeError, "not str"),
        (b"a", TypeError, "not bytes"),
        ({"a": 1}, TypeError, "not dict"),
        ({Do("a")}, TypeError, "not set"),
        (7, TypeError, "not int"),
        (Do, TypeError, "not StructMeta"),
        (broken(), Boom, "among the commands"),
    ],
)
def test_what_handle_may_not_answer_counts_as_raised(
    given: Any, error: type[Exception], words: str
) -> None:
    shell = Shell(Gives(given))

    assert shell.arrive(Happened("it")).outcome is Outcome.SKIPPED

    raised, failed, context = shell.manager.failures[0]
    assert type(raised) is error
    assert words in str(raised)
    assert isinstance(failed, Happened)
    assert context.stage is Stage.HANDLE
    assert shell.record is None


@pytest.mark.parametrize("given", [[None], [7], [Happened("no command")], ["ab"]])
def test_what_is_no_declared_command_is_a_failed_command(given: Any) -> None:
    shell = Shell(Gives(given))

    assert shell.arrive(Happened("it")).outcome is Outcome.HANDLED  # Skip: go on without it

    assert shell.manager.contexts[0].stage is Stage.DISPATCH
    assert not shell.emitted


class Child(Seen, frozen=True):
    more: int = 0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (7, "apply() answered int, not Seen"),
        ({"names": ()}, "apply() answered dict, not Seen"),
        (Child(), "apply() answered Child, not Seen"),
        (Seen((7,)), "Expected `str`, got `int`"),  # type: ignore[arg-type]
        (Seen((print,)), "unsupported"),  # type: ignore[arg-type]
        (Seen(("\ud800",)), "surrogates not allowed"),
        (Seen(("x" * MAX_STATE_BYTES,)), f"the limit is {MAX_STATE_BYTES}"),
    ],
)
def test_a_state_that_cannot_be_stored_counts_as_apply_raising(given: Any, words: str) -> None:
    shell = Shell(Gives(Do("a"), given))

    assert shell.arrive(Happened("it")).outcome is Outcome.SKIPPED

    error, failed, context = shell.manager.failures[0]
    assert type(error) is StateInvalid
    assert words in str(error)
    assert isinstance(failed, Happened)
    assert (context.stage, context.state) == (Stage.APPLY, Seen())
    assert not context.stacktrace
    assert not shell.emitted


class Narrow(Struct, frozen=True):
    names: int = 0


def stored_by_other_code(shell: Shell, state: Struct, version: int = 1) -> None:
    shell.arrive(Happened("first"))
    instance = shell.instance
    assert instance is not None
    packed = msgspec.msgpack.encode(state)
    other = msgspec.structs.replace(instance, state=packed, state_version=version)
    shell.record = msgspec.msgpack.encode(other)
    shell.record = bytes((1, 0)) + shell.record


def test_a_state_that_newer_code_stored_is_left_alone() -> None:
    shell = Shell(Scripted(answers(failure.Park())))
    stored_by_other_code(shell, Seen(), 2)
    before = shell.record

    with pytest.raises(StateNewer, match="state_version 2; this code knows 1"):
        shell.arrive(Happened("it", ("a",)))

    assert shell.record == before
    assert not shell.manager.failures


def test_a_stored_state_that_todays_code_cannot_read_fails_the_event() -> None:
    shell = Shell(Scripted(answers(failure.Park())))
    state = Narrow(7)
    stored_by_other_code(shell, state, 1)

    assert shell.arrive(Happened("it", ("a",))).outcome is Outcome.PARKED

    error, _, context = shell.manager.failures[0]
    assert type(error) is StateInvalid
    assert "cannot be read" in str(error)
    assert (context.stage, context.state) == (Stage.HANDLE, Seen())
    assert shell.instance is not None
    assert shell.instance.state == msgspec.msgpack.encode(state)
    assert not shell.emitted


def test_an_instance_says_what_it_was_born_of_and_written_with() -> None:
    shell = Shell(Scripted(state_version=3))
    shell.arrive(Happened("first"))
    shell.arrive(Happened("second"))

    assert shell.instance is not None
    assert shell.instance.status is Status.RUNNING
    assert (shell.instance.born, shell.instance.state_version) == ("orders-2-0", 3)


def test_command_ids_come_from_the_cause_and_count_what_is_emitted() -> None:
    shell, _ = command_fails(answers(failure.Skip()))

    assert [(each.id, each.key) for each in shell.commands] == [
        ("p-1/orders-2-1/0", b"a"),
        ("p-1/orders-2-1/1", b"c"),
        ("p-1/orders-2-1/2", b"d"),
    ]


def headers_of(inherited: Headers) -> Headers:
    shell = Shell(Scripted())
    done = shell.step(Arrived(routed(Happened("it", ("a",)), Route.START, 7, inherited)))
    assert whats(done.commands) == ["a"]
    return done.commands[0].headers


def test_a_command_carries_its_ids_and_what_the_event_carried() -> None:
    assert headers_of(
        (
            ("traceparent", b"00-1"),
            ("event-id", b"e-1"),
            ("correlation-id", b"c-1"),
            ("causation-id", b"older"),
            ("process-uuid", b"another"),
            ("pm-route", b"start"),
            ("tenant", None),
            ("tenant", b"t-1"),
        )
    ) == (
        ("command-id", b"p-1/orders-2-7/0"),
        ("correlation-id", b"c-1"),
        ("causation-id", b"e-1"),
        ("process-uuid", b"p-1"),
        ("process-manager", b"scripted"),
        ("traceparent", b"00-1"),
        ("tenant", None),
        ("tenant", b"t-1"),
    )


class TypedCoder(JsonCoder):
    """Its format asks for a header, to write a command and to read it back."""

    def encode_command(self, command: Any) -> Encoded:
        return msgspec.structs.replace(super().encode_command(command), headers=(("type", b"Do"),))

    def decode_command(self, topic: str, value: bytes, headers: Headers) -> Any:
        assert dict(headers)["type"] == b"Do"
        return super().decode_command(topic, value, headers)


def test_a_header_of_the_commands_format_wins_over_the_events_own() -> None:
    shell = Shell(Scripted())
    shell.coder = TypedCoder()
    event = (("type", b"Happened"), ("tenant", b"t-1"), ("type", b"again"))

    done = shell.step(Arrived(routed(Happened("it", ("a",)), headers=event)))

    assert done.commands[0].headers[5:] == (("type", b"Do"), ("tenant", b"t-1"))


def test_a_command_is_read_back_with_its_headers_for_after_command() -> None:
    after: list[Do] = []

    def fails_once(_state: Seen, command: Do, _metadata: Metadata) -> None:
        after.append(command)
        if len(after) == 1:
            raise Boom("in after_command")

    shell = Shell(WithAfterCommand(fails_once, answers(failure.Retry(delay=1))))
    shell.coder = TypedCoder()
    shell.arrive(Happened("it", ("a",)))

    assert shell.advance(1_000) == [Outcome.HANDLED]
    assert after == [Do("a"), Do("a")]


def test_an_event_without_ids_is_its_own_correlation() -> None:
    headers = dict(headers_of(()))

    assert headers["causation-id"] == headers["correlation-id"] == b"orders-2-7"


def test_what_a_callback_is_told_of_its_event() -> None:
    shell = Shell(Scripted())
    shell.step(Arrived(routed(Happened("it"), headers=(("a", b"1"), ("a", b"2")))))

    metadata = shell.manager.metadata[0]
    assert (metadata.process_uuid, metadata.process_manager) == ("p-1", "scripted")
    assert (metadata.topic, metadata.partition, metadata.offset) == ("orders", 2, 0)
    assert dict(metadata.headers) == {"a": b"2"}
    assert (metadata.replayed, metadata.attempt, metadata.causation_id) == (False, 1, None)
    with pytest.raises(TypeError):
        metadata.headers["a"] = b"3"  # type: ignore[index]


def test_only_interested_is_needed() -> None:
    class Least(Scripted):
        handle = ProcessManager.handle
        apply = ProcessManager.apply

    shell = Shell(Least())
    shell.arrive(Happened("it", ("a",)))

    assert shell.state == Seen()
    assert not shell.emitted
