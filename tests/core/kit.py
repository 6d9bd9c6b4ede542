"""What the tests of the core share: a process manager told what to do, and its messages."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import failure, routing
from pmstream.core.engine import (
    Encoded,
)
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Emitted, Headers, Metadata, Routed
from pmstream.core.process import AfterCommand, ProcessManager
from pmstream.core.routing import Route
from pmstream.errors import CommandInvalid, Undecodable

START = 1_700_000_000_000
MAX_STATE_BYTES = 1_000
UUID = "p-1"


class Happened(Struct, frozen=True):
    """An event that says what handling it shall do."""

    name: str
    commands: tuple[str, ...] = ()
    raises: str = ""


class Do(Struct, frozen=True):
    what: str


class Seen(Struct, frozen=True):
    """A state that remembers the events it went through."""

    names: tuple[str, ...] = ()


class Boom(Exception):
    pass


Error = Callable[[Exception, Any, FailureContext], Any]
After = Callable[[Seen, Do, Metadata], AfterCommand | None]


class Scripted(ProcessManager[Seen]):
    """Does what its events say; fails as long as `broken`; `error` is given by the test."""

    name = "scripted"
    state = Seen
    event: type[Struct] = Happened

    def __init__(self, error: Error | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.answer = error or (lambda error, _failed, _context: failure.Stop(error))
        self.broken = True
        self.metadata: list[Metadata] = []
        self.failures: list[tuple[Exception, Any, FailureContext]] = []
        self.errors: list[Exception] = []

    def interested(self, event: Happened) -> routing.Answer:
        return routing.Start(event.name)

    def handle(self, state: Seen, event: Any, metadata: Metadata) -> Iterable[Do]:
        self.metadata.append(metadata)
        if self.broken and event.raises == "handle":
            raise Boom("in handle")
        return [Do(each) for each in event.commands]

    def apply(self, state: Seen, event: Any, *args: Any) -> Seen:
        if self.broken and event.raises == "apply":
            raise Boom("in apply")
        return Seen((*state.names, event.name))

    def error(self, error: Exception, failed: Any, context: FailureContext) -> Any:
        self.failures.append((error, failed, context))
        return self.answer(error, failed, context)

    @property
    def contexts(self) -> list[FailureContext]:
        return [context for _, _, context in self.failures]


class WithAfterCommand(Scripted):
    """Calls `after`, given by the test, for each command that is out."""

    def __init__(self, after: After, error: Error | None = None, **options: Any) -> None:
        super().__init__(error, **options)
        self.after = after

    def after_command(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        return self.after(state, command, metadata)


def answers(*given: Any) -> Error:
    """An `error` that gives these answers in turn, the last one for ever."""
    left = list(given)
    return lambda _error, _failed, _context: left.pop(0) if len(left) > 1 else left[0]


def counting(delay: float) -> Error:
    """An `error` that counts in its context and never gives up."""

    def error(_error: Exception, _failed: Any, context: FailureContext) -> failure.Answer:
        return failure.Retry({"n": context.context.get("n", 0) + 1}, delay)

    return error


class JsonCoder:
    """Messages as JSON; a command whose text begins with `bad` cannot be encoded."""

    def __init__(self, event: type[Struct] = Happened) -> None:
        self.event = event
        self.bad = "bad"
        self.can_read = True

    def decode_event(self, routed: Routed) -> Any:
        if not self.can_read:
            raise Undecodable("an unknown schema")
        return msgspec.json.decode(routed.value, type=self.event)

    def encode_command(self, command: Any) -> Encoded:
        if not isinstance(command, Do) or (self.bad and command.what.startswith(self.bad)):
            raise CommandInvalid(f"{command!r} is no command")
        return Encoded("commands", command.what.encode(), msgspec.json.encode(command))

    def decode_command(self, topic: str, value: bytes, headers: Headers) -> Any:
        return msgspec.json.decode(value, type=Do)


def routed(
    event: Struct,
    route: Route = Route.START,
    offset: int = 0,
    headers: Headers = (),
    uuid: str = UUID,
    hold: int = 0,
) -> Routed:
    value = msgspec.json.encode(event)
    return Routed(uuid, route, value, "orders", 2, offset, 0, START - 5, headers, hold=hold)


def whats(commands: Iterable[Emitted]) -> list[str]:
    return [each.key.decode() for each in commands]
