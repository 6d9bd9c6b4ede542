"""The public API, from its docstrings: what authors, their tests and their services may import."""

import ast
import inspect
import re
from collections.abc import Iterator
from itertools import pairwise
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any

import pmstream
import pmstream.testing
from pmstream import errors, failure, pytest_plugin, replies, routing, telemetry, timers
from pmstream.core.process import OPTIONS
from pmstream.operate import wait
from pmstream.testing import services
from tests.book.docstrings import markdown

_FAILURE = (
    *("Retry", "Skip", "SkipContinuePending", "SkipDiscardPending", "ContinueWith", "Park"),
    *("Stop", "Stage", "backoff"),
)
_ERRORS = (
    *("ConfigurationError", "Unreachable", "Stopped", "Busy", "NotStarted", "AlreadyStarted"),
    *("AlreadyCompleted", "InvalidRoute", "CommandInvalid", "CommandRejected", "CommandTimeout"),
    *("EventTimeout", "StateInvalid", "Undecodable"),
)
_TESTING = (
    *("scenario", "Scenario", "accepted", "rejected", "run", "Running", "Rejected", "SILENT"),
)

MODULES: tuple[tuple[ModuleType, str, tuple[str, ...]], ...] = (
    (
        pmstream,
        "What every app needs.",
        ("App", "Topic", "ProcessManager", "AfterCommand", "Metadata", "FailureContext"),
    ),
    (
        routing,
        "What `interested` may answer; `None` and `False` mean: not interested.",
        ("Start", "StartNew", "Continue", "ContinueExisting", "Stop"),
    ),
    (failure, "What `error` may answer.", _FAILURE),
    (
        timers,
        "What `handle` may answer beside its commands, and what comes of it.",
        ("Set", "Cancel", "TimerFired"),
    ),
    (errors, "What `error` may receive, and what commands of pmstream raise.", _ERRORS),
    (
        pmstream.testing,
        "For authors' tests: no broker, no clock. [Testing](../testing.md) shows them at work.",
        _TESTING,
    ),
    (
        pytest_plugin,
        "Fixtures; pytest finds them once pmstream is installed.",
        ("pm_run", "pm_kafka"),
    ),
    (replies, "For services that answer confirmed commands.", ("accept", "reject", "Answer")),
    (
        telemetry,
        "What a listener of an app hears: `App(..., telemetry=[listener])`.",
        ("AttemptStarted", "AttemptStopped", "AttemptFailed"),
    ),
    (wait, "For those who must read what an event caused.", ("handled", "Handled", "Verdict")),
)


_HOMES = {"SILENT": services}
"""Where constants are made, which have no docstring of their own."""


def api() -> Iterator[str]:
    """Every module with its names."""
    for module, about, names in MODULES:
        yield f"## {module.__name__.replace('.core.', '.')}"
        yield ""
        yield about
        yield ""
        for name in names:
            yield f"### {_heading(module, name)}"
            yield ""
            yield from _thing(name, getattr(module, name))


def _heading(module: ModuleType, name: str) -> str:
    """As authors write it; names like Stop stand in several modules."""
    short = module.__name__.rpartition(".")[2]
    return name if short in {"pmstream", "testing", "pytest_plugin"} else f"{short}.{name}"


def _thing(name: str, thing: Any) -> Iterator[str]:
    function = inspect.unwrap(thing) if callable(thing) else thing
    if inspect.isclass(thing):
        yield from _class(name, thing)
    elif callable(function):
        yield from _code(f"{name}{_signature(function)}")
        yield from markdown(function.__doc__)
    else:
        yield from markdown(_comment(name, _HOMES[name]))


def _class(name: str, thing: type) -> Iterator[str]:
    if issubclass(thing, str):
        yield from markdown(thing.__doc__)
        yield ", ".join(f"`{name}.{each}`" for each in getattr(thing, "__members__", ()))
        yield ""
        return
    if not (issubclass(thing, Exception) and thing.__init__ is Exception.__init__):
        yield from _code(f"{name}{_signature(thing)}")
    options = {option: _plainly(getattr(thing, option, None)) for option in OPTIONS - {"name"}}
    yield from markdown(thing.__doc__, options if thing is pmstream.ProcessManager else {})
    for method, value in vars(thing).items():
        if method.startswith("_") or not isinstance(value, FunctionType | property):
            continue
        function = value.fget if isinstance(value, property) else value
        shown = "" if isinstance(value, property) else _signature(function, of_self=True)
        yield from _code(f"{name}.{method}{shown}")
        yield from markdown(function.__doc__)


def _plainly(value: object) -> object:
    return dict(value) if isinstance(value, MappingProxyType) else value


def _code(text: str) -> Iterator[str]:
    yield "```text"
    yield from _folded(text)
    yield "```"
    yield ""


def _folded(text: str) -> Iterator[str]:
    """A signature on one line if it fits, else one parameter a line."""
    if len(text) <= 96 or "(" not in text:
        yield text
        return
    head, _, rest = text.partition("(")
    inner, _, tail = rest.rpartition(")")
    yield f"{head}("
    yield from (f"    {each}," for each in _parameters(inner))
    yield f"){tail}"


def _parameters(inner: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, sign in enumerate(inner):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            yield inner[start:at].strip()
            start = at + 1
    yield inner[start:].strip()


def _signature(thing: Any, *, of_self: bool = False) -> str:
    found = inspect.signature(thing)
    if of_self:
        found = found.replace(parameters=list(found.parameters.values())[1:])
    text = str(found).replace("'", '"').replace("~S", "S")
    text = re.sub(r"\b(?:typing|datetime|collections\.abc|pathlib|_local|types)\.", "", text)
    text = re.sub(r"\bpmstream(?:\.\w+)+\.(?=[A-Z])", "", text)
    text = re.sub(r"<factory>|<msgspec[^>]*>|NODEFAULT", "...", text)
    return re.sub(r"<(\w+)\.(\w+): [^>]*>", r"\1.\2", text)


def _comment(name: str, module: ModuleType) -> str:
    """What stands below a constant, where it is made."""
    for before, after in pairwise(ast.parse(inspect.getsource(module)).body):
        made = isinstance(before, ast.Assign) and ast.unparse(before.targets[0]) == name
        if made and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            return str(after.value.value)
    raise LookupError(f"{module.__name__}.{name} has no docstring below it")
