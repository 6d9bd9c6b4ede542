"""A process manager that does what a case says, played in memory or on a real Kafka."""

import inspect
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from pmstream import App, ProcessManager, Topic, routing
from pmstream.testing import Running
from pmstream.testing.services import Service
from tests.conformance.on_kafka import OnKafka

MEMORY = "memory"
KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)

both = pytest.mark.parametrize("play", [MEMORY, KAFKA], indirect=True)
"""A case that touches the log: in memory and on Kafka."""


class Opened(Struct, frozen=True):
    __schema__: ClassVar[str] = "conformance.Opened"
    id: str
    n: int = 0


class Changed(Struct, frozen=True):
    __schema__: ClassVar[str] = "conformance.Changed"
    id: str
    n: int = 0


class Closed(Struct, frozen=True):
    __schema__: ClassVar[str] = "conformance.Closed"
    id: str
    n: int = 0


class Noise(Struct, frozen=True):
    __schema__: ClassVar[str] = "conformance.Noise"
    id: str


class Do(Struct, frozen=True):
    """A command; `n` is mostly the number of the event that it is for."""

    __schema__: ClassVar[str] = "conformance.Do"
    id: str
    n: int


class Undo(Struct, frozen=True):
    __schema__: ClassVar[str] = "conformance.Undo"
    id: str
    n: int


class Memo(Struct, frozen=True):
    """How many events were applied, and the number of the last."""

    count: int = 0
    last: int = -1


class Oops(Exception):
    """What author's code raises in these cases."""


class Scripted(ProcessManager[Memo]):
    """Its callbacks are given; without them it starts, goes on and stops, one command an event.

    Args:
        route: instead of `interested`.
        handle, apply, after: instead of the others.
        error: instead of `error`, or what it always answers.
        options: of the process manager.
    """

    name = "pm"
    state = Memo

    def __init__(
        self,
        *,
        route: Callable[..., Any] | None = None,
        handle: Callable[..., Any] | None = None,
        apply: Callable[..., Any] | None = None,
        error: Any = None,
        after: Callable[..., Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._route, self._handle, self._apply, self._after = route, handle, apply, after
        self._error = error
        self.calls: list[str] = []

    def interested(self, event: Any, metadata: Any) -> Any:
        if self._route is not None:
            return _call(self._route, event, metadata)
        match event:
            case Opened():
                return routing.Start(event.id)
            case Changed():
                return routing.Continue(event.id)
            case Closed():
                return routing.Stop(event.id)
        return None

    def handle(self, state: Memo, event: Any, metadata: Any) -> Any:
        self.calls.append("handle")
        if self._handle is not None:
            return _call(self._handle, state, event, metadata)
        return Do(metadata.process_uuid, event.n)

    def apply(self, state: Memo, event: Any, metadata: Any) -> Any:
        self.calls.append("apply")
        if self._apply is not None:
            return _call(self._apply, state, event, metadata)
        return Memo(state.count + 1, getattr(event, "n", -1))

    def error(self, error: Exception, failed: Any, context: Any) -> Any:
        self.calls.append("error")
        if self._error is None:
            return super().error(error, failed, context)
        return _call(self._error, error, failed, context) if callable(self._error) else self._error

    def after_command(self, state: Memo, command: Any, metadata: Any) -> Any:
        self.calls.append("after_command")
        return None if self._after is None else _call(self._after, state, command, metadata)


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """A case's function takes as many arguments as it cares for."""
    return function(*arguments[: len(inspect.signature(function).parameters)])


def app_of(*managers: ProcessManager[Any], name: str = "conformance", **options: Any) -> App:
    def topic(*types: type[Struct], keyed: bool = False) -> Topic:
        given = dict.fromkeys(types, "id") if keyed else types
        return Topic(given, format="json", type_header="type")

    return App(
        name=name,
        events={f"{name}.orders": topic(Opened, Closed), f"{name}.news": topic(Changed, Noise)},
        commands={f"{name}.commands": topic(Do, Undo, keyed=True)},
        process_managers=managers,
        **options,
    )


class Play:
    """Plays cases on one tier.

    Args:
        tier: MEMORY or "kafka".
        directory: for stores.
        servers: of the Kafka.
    """

    def __init__(self, tier: str, directory: Path, servers: str = "") -> None:
        self.tier, self._directory, self._servers = tier, directory, servers
        self._made: list[Running] = []

    def __call__(
        self, *managers: ProcessManager[Any], service: Service | None = None, **options: Any
    ) -> Running:
        """Runs process managers."""
        if self.tier == MEMORY:
            app, made = app_of(*managers, **options), Running
            running = made(app, self._directory, service)
        else:
            app = app_of(*managers, name=f"c{time.time_ns()}", **options)
            running = OnKafka(self._servers, app, self._directory, service)
        self._made.append(running)
        return running

    def close(self) -> None:
        for each in self._made:
            each.close()
