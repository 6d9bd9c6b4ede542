"""ProcessManager: the class an author subclasses, and its callbacks made uniform."""

import inspect
import re
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from msgspec import Struct

from pmstream.core import failure, routing
from pmstream.core.failure import FailureContext
from pmstream.core.messages import Metadata
from pmstream.core.starting import ORIGIN, StartFrom, start_faults

S = TypeVar("S", bound=Struct)

LEGAL_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
"""Kafka's rule for topic names, shorter because names are joined."""


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
        state_version: raise it when the state's fields change their meaning.
        start_from: where `topics ensure` starts it in a new source topic: "origin", "current",
            {topic: {partition: offset}} (what is not named starts at the origin), or an aware
            datetime: the first event of that time or later.
    """

    name: ClassVar[str] = ""
    state: ClassVar[type[Struct]]

    default_failure: failure.Answer | None = None
    undecodable: str = "dead-letter"
    unknown_schema: str = "undecodable"
    fan_out_limit: int = 1_000
    backlog_limit: int = 10_000
    max_attempts_per_batch: int = 10
    state_version: int = 1
    start_from: StartFrom = ORIGIN

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
        "state_version",
        "start_from",
    }
)
"""Options of a process manager: class attributes or keyword arguments of the constructor."""


class Callbacks(Struct, frozen=True):
    """A process manager's callbacks, each with all its parameters, and its options.

    `has_after_command` spares the call for process managers that do not override it.
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
    state_version: int


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
        state_version=manager.state_version,
    )


def check(manager: ProcessManager[Any]) -> Iterable[str]:
    """Yields one sentence for each fault of a process manager's definition."""
    where = f"process manager {manager.name or type(manager).__name__}"
    if not (isinstance(manager.name, str) and LEGAL_NAME.fullmatch(manager.name)):
        yield f"{where}: name {manager.name!r} is not 1 to 100 of letters, digits, '.', '_', '-'"
    if type(manager).interested is ProcessManager.interested:
        yield f"{where}: interested() is missing; it tells which process an event concerns"
    yield from (f"{where}: {fault}" for fault in _state_faults(manager))
    for fault in (*_callback_faults(manager), *_option_faults(manager)):
        yield f"{where}: {fault}"


_PARAMETERS = {"interested": 2, "handle": 3, "apply": 3, "error": 3, "after_command": 3}

_CHOICES = {
    "undecodable": ("dead-letter", "stop"),
    "unknown_schema": ("undecodable", "ignore"),
}

_NUMBERS = ("fan_out_limit", "backlog_limit", "max_attempts_per_batch", "state_version")


def _callback_faults(manager: ProcessManager[Any]) -> Iterable[str]:
    for callback, most in _PARAMETERS.items():
        if not any(_takes(getattr(manager, callback), count) for count in (most, most - 1)):
            yield f"{callback}() cannot be called with {most} or {most - 1} arguments"


def _option_faults(manager: ProcessManager[Any]) -> Iterable[str]:
    default = manager.default_failure
    if default is not None and not isinstance(default, failure.Answer):
        yield f"default_failure is {default!r}; it is one of the answers in pmstream.failure"
    for option, choices in _CHOICES.items():
        value = getattr(manager, option)
        if value not in choices:
            yield f"{option} is {value!r}; it is {' or '.join(map(repr, choices))}"
    yield from start_faults(manager.start_from)
    for option in _NUMBERS:
        value = getattr(manager, option)
        if type(value) is not int or value < 1:
            yield f"{option} is {value!r}; it is a whole number of at least 1"


def _state_faults(manager: ProcessManager[Any]) -> Iterable[str]:
    state = getattr(manager, "state", None)
    if not (isinstance(state, type) and issubclass(state, Struct)):
        yield "state must be a frozen msgspec.Struct type"
        return
    if not state.__struct_config__.frozen:
        yield f"state {state.__name__} must be frozen: class {state.__name__}(Struct, frozen=True)"
    required = [each.name for each in msgspec.structs.fields(state) if each.required]
    for name in required:
        yield f"state {state.__name__}: field {name} needs a default"
    if not required:
        yield from _storing_faults(state)


def _storing_faults(state: type[Struct]) -> Iterable[str]:
    try:
        msgspec.msgpack.decode(msgspec.msgpack.encode(state()), type=state)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        yield f"state {state.__name__} cannot be stored and read back as it begins: {error}"


def _takes(callback: Callable[..., Any], count: int) -> bool:
    try:
        inspect.signature(callback).bind(*(None,) * count)
    except TypeError:
        return False
    return True


def _uniform(callback: Callable[..., Any], most: int) -> Callable[..., Any]:
    if _takes(callback, most):
        return callback
    if most == 2:
        return lambda first, _last: callback(first)
    return lambda first, second, _last: callback(first, second)
