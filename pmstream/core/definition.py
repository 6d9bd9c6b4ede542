"""What may be wrong with a process manager's definition, told in sentences, all at once."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.durations import milliseconds
from pmstream.core.process import CONFIRM, LEGAL_NAME, ProcessManager, takes
from pmstream.core.starting import start_faults


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
    "dispatch": ("send", CONFIRM),
    "consistency": ("eventual", "strong"),
}

_NUMBERS = (
    "fan_out_limit",
    "backlog_limit",
    "max_attempts_per_batch",
    "timers_limit",
    "state_version",
)

_DURATIONS = {
    # option: whether it may be 0
    "confirm_timeout": False,
    "completed_for": True,
    "event_timeout": False,
    "idle_timeout": False,
}


def _callback_faults(manager: ProcessManager[Any]) -> Iterable[str]:
    for callback, most in _PARAMETERS.items():
        if not any(takes(getattr(manager, callback), count) for count in (most, most - 1)):
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
    for option, may_be_zero in _DURATIONS.items():
        yield from _duration_faults(option, getattr(manager, option), may_be_zero=may_be_zero)
    yield from _upcaster_faults(manager)


def _duration_faults(option: str, value: object, *, may_be_zero: bool) -> Iterable[str]:
    if value is None and option in ("event_timeout", "idle_timeout"):
        return
    try:
        if not milliseconds(value, option) and not may_be_zero:
            yield f"{option} is 0; give it some time"
    except (TypeError, ValueError) as error:
        yield str(error)


def _upcaster_faults(manager: ProcessManager[Any]) -> Iterable[str]:
    upcasters = manager.upcasters
    if not isinstance(upcasters, Mapping):
        yield f"upcasters is {upcasters!r}; it maps a state_version to a function"
        return
    for version, upcaster in upcasters.items():
        if type(version) is not int or version < 1:
            yield f"upcasters: {version!r} is no state_version"
        elif isinstance(manager.state_version, int) and version >= manager.state_version:
            yield (
                f"upcasters: {version} is not below state_version {manager.state_version}; an "
                "upcaster is for states of an older version"
            )
        if not callable(upcaster):
            yield f"upcasters: {version} has no function"
    state: Any = getattr(manager, "state", None)
    is_struct = isinstance(state, type) and issubclass(state, Struct)
    if upcasters and is_struct and state.__struct_config__.array_like:
        yield f"upcasters need fields with names; state {state.__name__} is array_like"


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
