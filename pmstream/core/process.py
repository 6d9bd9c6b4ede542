"""ProcessManager: the class an author subclasses, and its callbacks made uniform."""

import inspect
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeVar

from msgspec import Struct

from pmstream.core import failure, routing
from pmstream.core.durations import Duration, milliseconds
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.starting import ORIGIN, StartFrom

S = TypeVar("S", bound=Struct)

LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""Kafka's rule for topic names, shorter because names are joined."""


Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""From a state's fields in one version to those in the next."""

CONFIRM = "confirm"
"""The dispatch in which each command waits for its reply."""


class AfterCommand(StrEnum):
    """What `after_command` may answer beside None."""

    CONTINUE = "continue"
    STOP = "stop"


class ProcessManager(Generic[S]):
    """Coordinates aggregates: handles domain events, dispatches commands (Commanded's behaviour).

    Subclass it, name it, give it a state and the callbacks; only `interested` is needed.
    Callbacks are pure: the same arguments give the same answer, no clock, no chance, no I/O.
    Each callback gets the event's Metadata last, `error` its FailureContext; it may leave that
    parameter out. `*args, **kwargs` here is how a type says so: either form overrides it.

    Attributes:
        name: unique in the app; names its groups, topics and store.
        state: the state's type: a frozen msgspec.Struct, every field with a default.
        default_failure: what `error` answers unless overridden; None is `failure.Stop(error)`.
        undecodable: "dead-letter" (and go on), or "stop" at a record that cannot be decoded.
        unknown_schema: "undecodable", or "ignore" records of schemas this app does not have.
        fan_out_limit: how many processes one event may reach.
        backlog_limit: how many inputs may wait behind one instance.
        max_attempts_per_batch: immediate retries of one input before they become due again.
        timers_limit: how many timers one instance may have.
        state_version: raise it when the state's fields change their meaning.
        upcasters: older state_version to a function from its fields (a dict) to those of the next
            version; called when such a state is read.
        dispatch: "send": a command is out when the transaction commits; or "confirm": one at a
            time, each waits for the reply of its service (Commanded's synchronous dispatch).
        confirm_timeout: how long a reply is waited for, then it is a CommandTimeout.
        completed_for: how long an ended process leaves a marker that stops late events from
            beginning it anew; 0 is no marker.
        event_timeout: how long the callbacks of one input may take together, then they are
            interrupted and `error` receives EventTimeout; None is no limit.
        idle_timeout: instances untouched so long leave memory (never the store); None: when the
            cache is full.
        consistency: "eventual", or "strong": `pmstream wait` waits for it.
        start_from: where `topics ensure` starts it in a new source topic: "origin", "current",
            {topic: {partition: offset}} (what is not named starts at the origin), or an aware
            datetime: the first event of that time or later.
        keyed: direct mode: name of the app's source topic, whose keys are the process UUIDs, placed
            by murmur2. It is read without router and inbox; each record is verified.
    """

    name: ClassVar[str] = ""
    state: ClassVar[type[Struct]]

    default_failure: failure.Answer | None = None
    undecodable: str = "dead-letter"
    unknown_schema: str = "undecodable"
    fan_out_limit: int = 1_000
    backlog_limit: int = 10_000
    max_attempts_per_batch: int = 10
    timers_limit: int = 1_000
    state_version: int = 1
    upcasters: Mapping[int, Upcaster] = MappingProxyType({})
    start_from: StartFrom = ORIGIN
    dispatch: str = "send"
    confirm_timeout: Duration = 30
    completed_for: Duration = 0
    event_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    consistency: str = "eventual"
    keyed: str | None = None

    def __init__(self, **options: Any) -> None:
        unknown = sorted(options.keys() - OPTIONS)
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no option {', '.join(unknown)}; "
                f"options are {', '.join(sorted(OPTIONS))}"
            )
        for option, value in options.items():
            setattr(self, option, value)

    def interested(self, event: Any, *args: Any, **kwargs: Any) -> routing.Answer:
        """Tells which process an event concerns, and whether it starts, goes on or stops."""
        raise NotImplementedError

    def handle(self, state: S, event: Any, *args: Any, **kwargs: Any) -> Any:
        """Answers the commands to dispatch: one, an iterable of them, or None."""
        return None

    def apply(self, state: S, event: Any, *args: Any, **kwargs: Any) -> S:
        """Answers the state after the event."""
        return state

    def error(self, error: Exception, failed: Any, *args: Any, **kwargs: Any) -> failure.Answer:
        """Answers what to do about a failure; `failed` is the event or the command."""
        return self.default_failure or failure.Stop(error)

    def after_command(
        self, state: S, command: Any, *args: Any, **kwargs: Any
    ) -> AfterCommand | None:
        """Called for each command that is out; `AfterCommand.STOP` ends the instance."""
        return None


OPTIONS = frozenset(
    {
        "name",
        "default_failure",
        "undecodable",
        "unknown_schema",
        "fan_out_limit",
        "backlog_limit",
        "max_attempts_per_batch",
        "timers_limit",
        "state_version",
        "upcasters",
        "start_from",
        "dispatch",
        "confirm_timeout",
        "completed_for",
        "event_timeout",
        "idle_timeout",
        "consistency",
        "keyed",
    }
)
"""Options of a process manager: class attributes or keyword arguments of the constructor."""


class Callbacks(Struct, frozen=True):
    """A process manager's callbacks, each with all its parameters, and its options.

    `has_after_command` spares the call for process managers that do not override it;
    `routes_blindly` and `handles_blindly` say that `interested`, or `handle` and `apply`, take no
    Metadata, so that none need be made for them. Times are in milliseconds; `confirm_timeout_ms`
    is 0 when commands are sent without confirmation.
    """

    name: str
    state: type[Struct]
    interested: Callable[[Any, Metadata], object]
    handle: Callable[[Any, Any, Metadata], object]
    apply: Callable[[Any, Any, Metadata], object]
    error: Callable[[Exception, Any, FailureContext], object]
    after_command: Callable[[Any, Any, Metadata], object]
    has_after_command: bool
    fan_out_limit: int
    max_attempts_per_batch: int
    timers_limit: int
    state_version: int
    upcasters: Mapping[int, Upcaster]
    confirm_timeout_ms: int
    completed_for_ms: int
    routes_blindly: bool = False
    handles_blindly: bool = False


def bind(manager: ProcessManager[Any]) -> Callbacks:
    """Finds, once, how many parameters each callback takes."""
    return Callbacks(
        name=manager.name,
        state=manager.state,
        interested=_uniform(manager.interested, 2),
        handle=_uniform(manager.handle, 3),
        apply=_uniform(manager.apply, 3),
        error=_uniform(manager.error, 3),
        after_command=_uniform(manager.after_command, 3),
        has_after_command=type(manager).after_command is not ProcessManager.after_command,
        fan_out_limit=manager.fan_out_limit,
        max_attempts_per_batch=manager.max_attempts_per_batch,
        timers_limit=manager.timers_limit,
        state_version=manager.state_version,
        upcasters=dict(manager.upcasters),
        confirm_timeout_ms=(
            milliseconds(manager.confirm_timeout, "confirm_timeout")
            if manager.dispatch == CONFIRM
            else 0
        ),
        completed_for_ms=milliseconds(manager.completed_for, "completed_for"),
        routes_blindly=not takes(manager.interested, 2),
        handles_blindly=not (_asks(manager, "handle") or _asks(manager, "apply")),
    )


def takes(callback: Callable[..., Any], count: int) -> bool:
    """Whether a callback can be called with so many arguments."""
    try:
        inspect.signature(callback).bind(*(None,) * count)
    except TypeError:
        return False
    return True


def _asks(manager: ProcessManager[Any], name: str) -> bool:
    """Whether a callback is the author's, on class or instance, and takes Metadata."""
    callback = getattr(manager, name)
    is_own = getattr(callback, "__func__", callback) is not getattr(ProcessManager, name)
    return is_own and takes(callback, 3)


def _uniform(callback: Callable[..., Any], most: int) -> Callable[..., Any]:
    if takes(callback, most):
        return callback
    if most == 2:
        return lambda first, _last: callback(first)
    return lambda first, second, _last: callback(first, second)
