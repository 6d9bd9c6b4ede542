"""scenario(manager).given(...).when(...).then(...): what a process manager does, told in one line.

Rule: it is the core that decides, as in production; each step runs twice and must come out alike,
so a clock or a random number in an author's callback is found. A check raises, it does not assert:
pytest would rewrite the message, and `python -O` would drop it.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, Self

from msgspec.structs import replace

from pmstream.app import App
from pmstream.core.engine import Arrived, Due, Halt, Input, Reply, Step, route, step
from pmstream.core.instance import Instance
from pmstream.core.lifecycle import coming
from pmstream.core.messages import Emitted, Headers, Routed
from pmstream.core.process import ProcessManager, bind
from pmstream.core.state import load_state
from pmstream.testing.chaos import Answer, End, Event, Pause, Tale, rage
from pmstream.testing.coder import ByNumber
from pmstream.testing.difference import difference
from pmstream.testing.process import Process

START_MS = 1_700_000_000_000
"""When a scenario begins, milliseconds since the epoch."""

MAX_STATE_BYTES = 1_000_000


def accepted(command: Any) -> Answer:
    """The service did the command (confirm mode)."""
    return Answer(command, accepted=True)


def rejected(command: Any, reason: Any = None) -> Answer:
    """The service did not do the command, for that reason (confirm mode)."""
    return Answer(command, accepted=False, reason=reason)


class Scenario:
    """A story of one process manager. Every method but the checks' failures answers itself.

    Args:
        manager: the process manager.
    """

    def __init__(self, manager: ProcessManager[Any]) -> None:
        self._manager, self._story = manager, list[Tale]()
        self._coder, self._now, self._offset = ByNumber(), START_MS, 0
        self._callbacks = replace(bind(manager), error=self._remembering(bind(manager).error))
        self._processes: dict[str, Process] = {}
        self._sent: list[Emitted] = []
        self._out: list[Any] = []
        self._errors: list[Exception] = []
        self._halt = ""

    # What happens

    def given(self, *events: Any) -> Self:
        """These events happened before; what they called for is not looked at."""
        for each in events:
            self._happen(each)
        return self._fresh()

    def when(self, what: Any, headers: Headers = ()) -> Self:
        """An event happens, or a reply comes (`accepted`, `rejected`).

        Raises:
            AssertionError: a reply names a command that was not sent.
        """
        self._fresh()
        if isinstance(what, Answer):
            self._reply(what)
        else:
            self._happen(what, headers)
        return self

    def advance(self, time: timedelta) -> Self:
        """Time passes; what comes due happens: retries, timers, deadlines, holds."""
        self._fresh()
        self._story.append(Pause(time))
        until = self._now + time // timedelta(milliseconds=1)
        while (found := self._next_due(until)) is not None:
            self._now = max(self._now, found[0])
            self._advance(found[1].process_uuid, found[1])
        self._now = until
        return self

    # What must have come of it

    def then(self, *commands: Any) -> Self:
        """Exactly these commands went out, in this order."""
        self._alive()
        _same("commands", list(commands), self._out)
        return self

    def then_nothing(self) -> Self:
        """No command went out."""
        return self.then()

    def then_state(self, state: Any, process_uuid: str = "") -> Self:
        """The process has this state; None is: there is no such instance.

        Args:
            state: the author's Struct.
            process_uuid: of the process; may be left out when there is only one.
        """
        self._alive()
        _same("state", [state], [self._state(process_uuid)])
        return self

    def then_raises(self, error: type[Exception]) -> Self:
        """`error` was asked about an error of this type."""
        told = [f"{type(each).__name__}: {each}" for each in self._errors] or ["no error"]
        if not any(isinstance(each, error) for each in self._errors):
            asked = ", ".join(told)
            raise AssertionError(
                f"error() was not asked about {error.__name__}; it was asked about: {asked}"
            )
        return self

    def then_stopped(self) -> Self:
        """The process manager stopped."""
        if not self._halt:
            raise AssertionError("the process manager did not stop")
        return self

    def chaos(self, seed: int = 1, *, reorder: bool = False, app: App | None = None) -> Self:
        """The whole story again, on the runtime and a real store, and the same must come of it.

        Workers are killed at every step of a commit, events are read several times, some come
        late. Message types need a `__schema__`, a name that the runtime knows them by.

        Args:
            seed: of all choices.
            reorder: let events of different topics overtake each other between two pauses or
                replies.
            app: tells which events share a topic, and so keep their order; without it each type
                has a topic of its own.

        Raises:
            AssertionError: a process has other commands, or another state; it tells the seed, the
                step and the difference.
        """
        self._alive()
        sent: dict[str, list[Any]] = {uuid: [] for uuid in self._processes}
        for each in self._sent:
            command = self._coder.messages[int(each.value)]
            sent[each.id.split("/", 1)[0]].append(command)
        ends = {uuid: End(commands, self._state(uuid)) for uuid, commands in sent.items()}
        rage(self._manager, self._story, ends, seed, reorder=reorder, of=app)
        return self

    # How it works

    def _remembering(self, error: Callable[..., object]) -> Callable[..., object]:
        def remembering(raised: Exception, failed: Any, context: Any) -> object:
            if raised not in self._errors:
                self._errors.append(raised)
            return error(raised, failed, context)

        return remembering

    def _fresh(self) -> Self:
        self._out, self._errors = [], []
        return self

    def _alive(self) -> None:
        if self._halt:
            raise AssertionError(f"the process manager stopped: {self._halt}")

    def _happen(self, event: Any, headers: Headers = ()) -> None:
        self._story.append(Event(event, headers))
        place = Routed(
            "", "", self._coder.number(event), "scenario", 0, self._offset, 0, self._now, headers
        )
        self._offset += 1
        first, routing = (
            route(self._callbacks, event, place, headers, self._now) for _ in range(2)
        )
        _alike("interested", (first.route, first.ids), (routing.route, routing.ids))
        if isinstance(routing.failure, Halt):
            self._halt = routing.failure.reason
        for index, uuid in enumerate(routing.ids):
            routed = replace(
                place,
                process_uuid=uuid,
                route=str(routing.route),
                index=index,
                hold=routing.hold,
            )
            self._advance(uuid, Arrived(routed, event))

    def _reply(self, answer: Answer) -> None:
        for each in reversed(self._sent):
            if self._coder.messages[int(each.value)] == answer.command:
                uuid = each.id.split("/", 1)[0]
                self._story.append(answer)
                self._advance(uuid, Reply(each.id, answer.accepted, answer.reason))
                return
        raise AssertionError(f"{answer.command!r} was not sent; sent so far: {self._commands()}")

    def _commands(self) -> list[Any]:
        return [self._coder.messages[int(each.value)] for each in self._sent]

    def _next_due(self, until: int) -> tuple[int, Due] | None:
        found = [
            (each.due, Due(each.kind, uuid, each.name))
            for uuid, process in self._processes.items()
            if process.instance is not None
            for each in coming(process.instance)
            if each.due <= until
        ]
        return min(found, key=lambda each: each[0], default=None) if not self._halt else None

    def _advance(self, uuid: str, input: Input) -> None:
        process = self._processes.setdefault(uuid, Process())
        todo: Input | None = input
        while todo is not None:
            done = self._step(process, todo)
            if done.halt is not None:
                self._halt = done.halt.reason
                return
            process.take_over(done)
            self._sent += done.commands
            self._out += [self._coder.messages[int(each.value)] for each in done.commands]
            todo = process.next(done)

    def _step(self, process: Process, input: Input) -> Step:
        first, done = (
            step(self._callbacks, process.instance, input, self._now, self._coder, MAX_STATE_BYTES)
            for _ in range(2)
        )
        if first != done:
            told = [self._told(each) for each in (first, done)]
            _alike("handle, apply or error", *(told if told[0] != told[1] else [[first], [done]]))
        return done

    def _told(self, done: Step) -> list[Any]:
        """What an author sees of a step: its commands, then the state."""
        commands = [self._coder.messages[int(each.value)] for each in done.commands]
        return [*commands, self._state_of(done.instance)]

    def _state(self, process_uuid: str) -> Any:
        if not process_uuid:
            if len(self._processes) > 1:
                known = ", ".join(self._processes)
                raise AssertionError(
                    f"say which process: then_state(state, process_uuid); there are {known}"
                )
            process_uuid = next(iter(self._processes), "")
        return self._state_of(self._processes.get(process_uuid, Process()).instance)

    def _state_of(self, instance: Instance | None) -> Any:
        if instance is None or not instance.exists:
            return None
        return load_state(instance.state, self._callbacks, instance.state_version)


def _alike(what: str, first: Sequence[Any], second: Sequence[Any]) -> None:
    if first != second:
        raise AssertionError(
            f"{what} answered differently to the same input; a callback may use no clock, no "
            f"random number and nothing that changes:\n{difference(first, second)}"
        )


def _same(what: str, expected: list[Any], found: list[Any]) -> None:
    if expected != found:
        raise AssertionError(
            f"{what} are not as expected (- expected, + found):\n{difference(expected, found)}"
        )


def scenario(manager: ProcessManager[Any] | type[ProcessManager[Any]]) -> Scenario:
    """Begins a story.

    Args:
        manager: the process manager, or its class when it needs no arguments.
    """
    return Scenario(manager() if isinstance(manager, type) else manager)
