"""Worlds that trace."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime.clocked import make_app
from tests.runtime.tracing.kit import ENOUGH, Make, TracedWorld


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock) -> Iterator[Make]:
    made: list[TracedWorld] = []

    def make(
        per_second: int = ENOUGH,
        *,
        links: bool = False,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> TracedWorld:
        world = TracedWorld(
            MemoryLog(clock),
            tmp_path,
            clock,
            app=make_app(**options),
            per_second=per_second,
            links=links,
            **(settings or {}),
        )
        made.append(world)
        world.start_all()
        return world

    yield make
    for each in made:
        each.close()
