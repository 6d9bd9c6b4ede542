"""What the tests of the core share: a process manager told what to do, and the shell in small."""

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import failure, routing
from pmstream.core.engine import (
    Arrived,
    Due,
    Encoded,
    Input,
    Outcome,
    Step,
    Take,
    Waiting,
    step,
)
from pmstream.core.failure import FailureContext
from pmstream.core.instance import (
    LIFECYCLE,
    Condition,
    Entry,
    Instance,
    Work,
    condition,
    due,
    dump_instance,
    dump_work,
    load_instance,
    load_work,
)
from pmstream.core.messages import Emitted, Headers, Metadata, Routed
from pmstream.core.process import AfterCommand, Callbacks, ProcessManager, bind
from pmstream.core.routing import CREATING, Route
from pmstream.errors import CommandInvalid, Undecodable

START = 1_700_000_000_000
MAX_STATE_BYTES = 1_000


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
    uuid: str = "p-1",
) -> Routed:
    value = msgspec.json.encode(event)
    return Routed(uuid, route, value, "orders", 2, offset, 0, START - 5, headers)


def whats(commands: Iterable[Emitted]) -> list[str]:
    return [each.key.decode() for each in commands]


class Shell:
    """The shell's part in small: one instance and its backlog, stored; a clock the test moves.

    Everything goes through its stored form between two steps, and what must hold of every step
    is checked at every step.
    """

    def __init__(self, manager: Scripted) -> None:
        self.manager = manager
        self.callbacks: Callbacks = bind(manager)
        self.coder = JsonCoder(manager.event)
        self.now = START
        self.record: bytes | None = None
        self.backlog: dict[int, bytes] = {}
        self.commands: list[Emitted] = []
        self.outcomes: list[Outcome] = []
        self.edges: set[tuple[Condition, Condition]] = set()
        self.offset = 0
        self.halted: str | None = None

    @property
    def instance(self) -> Instance | None:
        return load_instance(self.record) if self.record is not None else None

    @property
    def work(self) -> Work:
        instance = self.instance
        assert instance is not None
        assert instance.work is not None
        return instance.work

    @property
    def condition(self) -> Condition:
        return condition(self.instance)

    @property
    def state(self) -> Any:
        instance = self.instance
        if instance is None or not instance.exists:
            return None
        return msgspec.msgpack.decode(instance.state, type=self.callbacks.state)

    @property
    def waiting(self) -> list[str]:
        entries = (load_work(self.backlog[each]) for each in sorted(self.backlog))
        return [msgspec.json.decode(each.input.value, type=Happened).name for each in entries]

    @property
    def emitted(self) -> list[str]:
        return whats(self.commands)

    def arrive(self, event: Struct, route: Route = Route.START, *, drain: bool = True) -> Step:
        """Hands in an event, then what of the backlog follows; answers the event's own step."""
        first = self.step(Arrived(routed(event, route, self.offset)))
        self.offset += 1
        if drain:
            self.drain(first)
        return first

    def advance(self, milliseconds: int) -> list[Outcome]:
        """Moves the clock and hands in what is due then."""
        self.now += milliseconds
        instance = self.instance
        found = due(instance) if instance is not None else None
        if found is None or found[1] > self.now:
            return []
        before = len(self.outcomes)
        self.drain(self.step(Due(found[0])))
        return self.outcomes[before:]

    def drain(self, last: Step) -> None:
        while last.take is not None and last.halt is None:
            entry = self.entry(last.take)
            if entry is None:
                return
            last = self.step(Waiting(entry))

    def entry(self, take: Take) -> Entry | None:
        for sequence in sorted(self.backlog):
            work = load_work(self.backlog[sequence])
            if take is Take.FIRST or work.input.route in CREATING:
                return Entry(sequence, work)
        return None

    def step(self, input: Input) -> Step:
        before = self.instance
        done = step(self.callbacks, before, input, self.now, self.coder, MAX_STATE_BYTES)
        self.outcomes.append(done.outcome)
        if done.halt is not None:
            assert done.outcome is Outcome.HALTED
            assert done.instance == before
            assert not done.commands
            self.halted = done.halt.reason
            return done
        self.record = dump_instance(done.instance) if done.instance is not None else None
        assert self.instance == done.instance
        if done.put is not None:
            assert done.put.sequence not in self.backlog
            self.backlog[done.put.sequence] = dump_work(done.put.work)
        if done.taken is not None:
            del self.backlog[done.taken]
        self.commands.extend(done.commands)
        self._check(condition(before), done.instance)
        return done

    def _check(self, before: Condition, instance: Instance | None) -> None:
        after = condition(instance)
        if before is not after:
            assert after in LIFECYCLE[before], f"{before} -> {after} is not in LIFECYCLE"
            self.edges.add((before, after))
        if instance is None:
            assert not self.backlog
            return
        backlog = instance.backlog
        assert instance.exists or instance.work or backlog.size
        assert instance.exists == bool(instance.state)
        assert backlog.size == len(self.backlog)
        assert all(backlog.first <= each < backlog.next for each in self.backlog)
        if instance.work is not None:
            assert instance.work.wait is not None
            assert not (instance.exists and instance.work.not_started)
