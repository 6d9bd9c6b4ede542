"""The author of the simulation: a process manager whose events say how they behave.

Rule: what it does depends on the event, the state and the number of the attempt alone, never on
time; so a fold over the inbox, in any time, tells what must come out. What time decides changes
nothing else: a timer that fires leaves the state as it is, a command that was answered too late
is sent again until its answer counts.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from pmstream import AfterCommand, App, ProcessManager, failure, routing
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.timers import Cancel, Set, TimerFired
from pmstream.errors import (
    AlreadyCompleted,
    AlreadyStarted,
    CommandRejected,
    CommandTimeout,
    NotStarted,
)
from pmstream.runtime.codec import Codec

SOURCE, COMMANDS = "simulation.events", "simulation.commands"
APP, MANAGER = "simulation", "author"

RETRY_SECONDS, START_SECONDS = 3.0, 20.0
"""How long a failed event waits, and one that came before its start."""

CONFIRM_SECONDS = 4.0
"""How long a command waits for its reply."""

HOLD_SECONDS, FOR_EVER = 10.0, 30 * 86_400.0
"""How long an early event is held before it fails, and one whose end time must not decide."""

TIMER_SECONDS = {1: 1.0, 2: 6.0, 3: 40.0}
"""When a timer is due, by the `times` of the event that sets it; also part of its name."""


class Happened(Struct, frozen=True):
    """An event; `processes` are joined by `+`; `route`, `what` and `times` say what it does."""

    __schema__: ClassVar[str] = "simulation.Happened"
    processes: str
    route: str
    what: str
    times: int
    n: int


class Do(Struct, frozen=True):
    """A command; `digest` depends on the order of all events before; `after` on what follows."""

    __schema__: ClassVar[str] = "simulation.Do"
    process: str
    n: int
    count: int
    digest: int
    after: str


class Seen(Struct, frozen=True):
    """How many events, and a digest of their order."""

    count: int = 0
    digest: int = 0


HALTS = "this ends it"
"""What a halt says; no value of an event, because those stand in no log line."""


class Oops(Exception):
    """What the author's code raises when an event says so."""


ROUTES: dict[str, Callable[[list[str]], routing.Answer]] = {
    "start": routing.Start,
    "start!": routing.StartNew,
    "continue": routing.Continue,
    "continue!": routing.ContinueExisting,
    "stop": routing.Stop,
    "hold": lambda ids: routing.ContinueExisting(ids, hold=HOLD_SECONDS),
    "hold-long": lambda ids: routing.ContinueExisting(ids, hold=FOR_EVER),
    "hold-stop": lambda ids: routing.Stop(ids, hold=FOR_EVER),
}
UNHELD = {"hold": "continue!", "hold-long": "continue!", "hold-stop": "stop"}
"""What is said instead where nothing may wait for ever."""
NOWHERE = ("none", "fail-skip", "fail-park")
"""What `interested` does beside routing."""

WHATS = (
    *("plain", "none", "many", "retry", "apply-retry", "skip", "park", "halt"),
    *("command-skip", "command-discard", "command-with", "command-retry"),
    *("after-stop", "after-retry"),
    *("timer", "timer-retry", "cancel", "cancel-retry"),
)


TIMER = "timer"
"""The `after` of a command that a timer called for."""


def verdict(command: Do) -> str:
    """What its service does with a command: "accept", "reject", or "silent" for no reply."""
    if command.after == TIMER:
        return {2: "reject", 3: "silent"}.get(command.n, "accept")
    if not command.count:  # it stands for one that was rejected
        return "accept"
    return {0: "silent", 1: "reject"}.get((command.n * 7 + command.count) % 6, "accept")


class Author(ProcessManager[Seen]):
    """Does what each event says.

    Attributes:
        healed: once set, what halted before succeeds, as after a deploy.
        lenient: nothing waits for an operator or a start (a full backlog would wait for ever).
        guard: told of every callback that belongs to a worker's turn.
    """

    name = MANAGER
    state = Seen
    max_attempts_per_batch = 2
    healed = False
    lenient = False
    guard: Callable[[str], None] = staticmethod(lambda _callback: None)

    def interested(self, event: Happened) -> routing.Answer:
        """Routes as the event says."""
        self.guard("interested")
        if event.route.startswith("fail"):
            raise Oops(event.route)
        if event.route == "none":
            return None
        route = UNHELD.get(event.route, event.route) if self.lenient else event.route
        return ROUTES[route](event.processes.split("+"))

    def handle(self, state: Seen, event: Happened | TimerFired, metadata: Metadata) -> Any:
        """Fails or answers commands and timers as the event says."""
        self.guard("handle")
        if isinstance(event, TimerFired):
            if event.name.startswith("retry") and metadata.attempt == 1:
                raise Oops(event.name)
            return Do(metadata.process_uuid, int(event.name[-1]), 0, 0, TIMER)
        if event.what == "halt" and not self.healed:
            raise Oops(HALTS)
        if event.what in ("retry", "skip", "park") and metadata.attempt <= event.times:
            raise Oops(event.what)
        if event.what == "none":
            return None
        after = event.what.removeprefix("after-") if event.what.startswith("after") else ""
        command = Do(
            metadata.process_uuid, event.n, state.count + 1, self._digest(state, event), after
        )
        if event.what.startswith("command"):
            bad: Any = Do(metadata.process_uuid, "no number", 0, 0, "")  # type: ignore[arg-type]
            return [command, bad, command]
        timer = f"{event.what.partition('-')[2]}{event.times}"
        if event.what.startswith("timer"):
            return [Set(timer, after=TIMER_SECONDS[event.times]), command]
        if event.what.startswith("cancel"):
            return [command, Cancel(timer)]
        return [command] * (1 + event.times) if event.what == "many" else command

    def apply(self, state: Seen, event: Happened | TimerFired, metadata: Metadata) -> Seen:
        """Counts and digests events; a timer leaves no trace."""
        if isinstance(event, TimerFired):
            return state
        if event.what == "apply-retry" and metadata.attempt <= event.times:
            raise Oops(event.what)
        return Seen(state.count + 1, self._digest(state, event))

    def _digest(self, state: Seen, event: Happened) -> int:
        return (state.digest * 31 + event.n + 1) % 1_000_003

    def after_command(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        """Ends the instance, or fails twice, as the command says."""
        self.guard("after_command")
        if command.after == "retry" and metadata.attempt <= 2:
            raise Oops(command.after)
        return AfterCommand.STOP if command.after == "stop" else None

    def error(self, error: Exception, failed: Any, context: FailureContext) -> failure.Answer:
        """Answers as the event says."""
        event: Happened | TimerFired = context.last_event
        if isinstance(error, CommandTimeout | CommandRejected):
            return self._not_done(error, failed)
        if isinstance(event, TimerFired):
            return failure.Retry(delay=RETRY_SECONDS)
        if event.route.startswith("fail"):
            return failure.Park() if event.route == "fail-park" else failure.Skip()
        if isinstance(error, NotStarted):
            waits = failure.Park() if event.what == "park" else failure.Retry(delay=START_SECONDS)
            return failure.Skip() if self.lenient or event.what == "skip" else waits
        if isinstance(error, AlreadyStarted | AlreadyCompleted):
            return failure.Park() if event.what == "park" and not self.lenient else failure.Skip()
        if not isinstance(error, Oops) and event.what != "command-retry":
            return self._command_failed(failed, event)
        if event.what == "halt":
            return failure.Stop(error)
        if event.what == "park" and not self.lenient:
            return failure.Park()
        if event.what.endswith("retry") and context.attempts <= max(event.times, 2):
            return failure.Retry(delay=RETRY_SECONDS if context.attempts % 2 else 0)
        return failure.Skip()

    def _not_done(self, error: Exception, failed: Do) -> failure.Answer:
        """Silence is skipped; a reply that is late is asked for again; a rejection as it falls."""
        if isinstance(error, CommandTimeout):
            if verdict(failed) == "silent":
                return failure.Skip()
            return failure.Retry(delay=RETRY_SECONDS if failed.n % 5 == 0 else 0)
        if failed.after == TIMER or (failed.n % 4 == 3 and self.lenient):
            return failure.Skip()
        instead = Do(failed.process, failed.n, 0, 0, "")
        answers: tuple[failure.Answer, ...] = (
            failure.Skip(),
            failure.SkipDiscardPending(),
            failure.ContinueWith([instead, instead]),
            failure.Park(),
        )
        return answers[failed.n % 4]

    def _command_failed(self, failed: Any, event: Happened) -> failure.Answer:
        if event.what == "command-discard":
            return failure.SkipDiscardPending()
        if event.what == "command-with" and isinstance(failed, Do):
            return failure.ContinueWith([Do(failed.process, event.n, 0, 0, "")])
        return failure.Skip()


@lru_cache
def make_app() -> App:
    """The app; one for all schedules, because reading schemas takes longer than a schedule."""
    return App(
        name=APP,
        schemas=Path(__file__).parent / "avro",
        events={SOURCE: [Happened]},
        commands={COMMANDS: {Do: "process"}},
        process_managers=[Author()],
    )


@lru_cache
def make_codec(app: App, max_message_bytes: int = 1_000_000) -> Codec:
    """The codec, likewise."""
    return Codec(app, max_message_bytes=max_message_bytes)


def author() -> Author:
    """The process manager of the app."""
    found = make_app().manager(MANAGER)
    assert isinstance(found, Author)
    return found
