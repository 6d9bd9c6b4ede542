"""event_timeout: the author's code is interrupted, `error` is told, and nobody else is hurt."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream import App, failure
from pmstream.errors import EventTimeout
from pmstream.runtime.clock import SystemClock, VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime import world as worlds
from tests.runtime.world import Counter, Do, Happened, World


class Stuck(Counter):
    """Handles events of one kind for ever, and swallows what it can."""

    name = "counter"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.errors: list[tuple[Exception, str]] = []
        self.in_generator = False

    def handle(self, state: Any, event: Happened, metadata: Any) -> Any:
        if event.what != "stuck":
            return super().handle(state, event, metadata)
        return self._commands() if self.in_generator else list(self._commands())

    def _commands(self) -> Iterator[Do]:
        while True:
            try:
                time.sleep(0.01)
            except Exception:  # noqa: BLE001 - what an author may well do
                continue
            if self.healed:
                yield Do(process="never", n=0, count=0)

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        self.errors.append((error, context.stacktrace))
        return failure.Skip()


@pytest.fixture
def manager() -> Stuck:
    return Stuck(event_timeout=0.1)


@pytest.fixture
def world(manager: Stuck, tmp_path: Path) -> Iterator[World]:
    app = App(
        name="world",
        schemas=Path(worlds.__file__).parent / "avro",
        events={"world.events": [Happened]},
        commands={"world.commands": {Do: "process"}},
        process_managers=[manager],
    )
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, app=app)
    made.start_all()
    yield made
    made.close()


@pytest.mark.parametrize("in_generator", [False, True], ids=["in handle", "in its generator"])
def test_a_handler_that_takes_too_long_is_interrupted_and_error_is_told(
    world: World, manager: Stuck, in_generator: bool
) -> None:
    manager.in_generator = in_generator
    world.count("a", [1], what="stuck")
    world.count("a", [2])
    world.count("b", [1])

    world.settle(lambda: len(world.commands()) == 2)

    assert world.counts("a") == [(2, 1)]
    assert world.counts("b") == [(1, 1)]
    (error, stacktrace) = manager.errors[0]
    assert type(error) is EventTimeout
    assert "longer than event_timeout, 0.1 s" in str(error)
    assert "_commands" in stacktrace


def test_code_that_is_quick_is_never_interrupted(world: World, manager: Stuck) -> None:
    began = SystemClock().monotonic()
    world.count("a", range(300))

    world.settle(lambda: len(world.commands()) == 300)
    while SystemClock().monotonic() < began + 0.2:
        world.turn()

    assert not manager.errors
