"""The author of the simulation: a process manager whose events say how they behave.

Rule: what it does depends on the event, the state and the number of the attempt alone, never on
time; so a fold over the inbox, in any time, tells what must come out.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct

from pmstream import AfterCommand, App, ProcessManager, failure, routing
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.errors import AlreadyStarted, NotStarted
from pmstream.runtime.codec import Codec

SOURCE, COMMANDS = "simulation.events", "simulation.commands"
APP, MANAGER = "simulation", "author"

RETRY_SECONDS, START_SECONDS = 3.0, 20.0
"""How long a failed event waits, and one that came before its start."""


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


class Oops(Exception):
    """What the author's code raises when an event says so."""


ROUTES: dict[str, Callable[[list[str]], routing.Answer]] = {
    "start": routing.Start,
    "start!": routing.StartNew,
    "continue": routing.Continue,
    "continue!": routing.ContinueExisting,
    "stop": routing.Stop,
}
NOWHERE = ("none", "fail-skip", "fail-park")
"""What `interested` does beside routing."""

WHATS = (
    *("plain", "none", "many", "retry", "apply-retry", "skip", "park", "halt"),
    *("command-skip", "command-discard", "command-with", "command-retry"),
    *("after-stop", "after-retry"),
)


class Author(ProcessManager[Seen]):
    """Does what each event says.

    Attributes:
        healed: once set, what halted before succeeds, as after a deploy.
        lenient: nothing waits for an operator or a start (a full backlog would wait for ever).
        guard: called by every callback that belongs to a worker's turn.
    """

    name = MANAGER
    state = Seen
    max_attempts_per_batch = 2
    healed = False
    lenient = False
    guard: Callable[[], None] = staticmethod(lambda: None)

    def interested(self, event: Happened) -> routing.Answer:
        """Routes as the event says."""
        self.guard()
        if event.route.startswith("fail"):
            raise Oops(event.route)
        return None if event.route == "none" else ROUTES[event.route](event.processes.split("+"))

    def handle(self, state: Seen, event: Happened, metadata: Metadata) -> Any:
        """Fails or answers commands as the event says."""
        self.guard()
        if event.what == "halt" and not self.healed:
            raise Oops(event.what)
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
        return [command] * (1 + event.times) if event.what == "many" else command

    def apply(self, state: Seen, event: Happened, metadata: Metadata) -> Seen:
        """Counts and digests."""
        if event.what == "apply-retry" and metadata.attempt <= event.times:
            raise Oops(event.what)
        return Seen(state.count + 1, self._digest(state, event))

    def _digest(self, state: Seen, event: Happened) -> int:
        return (state.digest * 31 + event.n + 1) % 1_000_003

    def after_command(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        """Ends the instance, or fails twice, as the command says."""
        self.guard()
        if command.after == "retry" and metadata.attempt <= 2:
            raise Oops(command.after)
        return AfterCommand.STOP if command.after == "stop" else None

    def error(self, error: Exception, failed: Any, context: FailureContext) -> failure.Answer:
        """Answers as the event says."""
        event: Happened = context.last_event
        if event.route.startswith("fail"):
            return failure.Park() if event.route == "fail-park" else failure.Skip()
        if isinstance(error, NotStarted):
            waits = failure.Park() if event.what == "park" else failure.Retry(delay=START_SECONDS)
            return failure.Skip() if self.lenient or event.what == "skip" else waits
        if isinstance(error, AlreadyStarted):
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
