"""Direct mode: a failing `interested` is answered by the instances worker, as by a router."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream import App, failure
from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime.direct_world import Direct
from tests.runtime.world import SOURCE, Counter, make_app

Make = Callable[[failure.Answer], Direct]


class Answering(Counter):
    """Gives one answer to what is wrong."""

    answer: failure.Answer = failure.Skip()

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        return self.answer


@pytest.fixture
def make(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[Make]:
    made: list[Direct] = []

    def start(answer: failure.Answer) -> Direct:
        plain = make_app()
        manager = Answering(keyed=SOURCE)
        manager.answer = answer
        app = App(
            name=plain.name,
            schemas=plain.schemas,
            events=plain.events,
            commands=plain.commands,
            process_managers=[manager],
        )
        made.append(Direct(log, tmp_path, clock, 3, app, inbox_partitions=3))
        made[0].start_all()
        return made[0]

    yield start
    made[0].close()


@pytest.mark.parametrize(("answer", "letters"), [(failure.Skip(), 0), (failure.Park("look"), 1)])
def test_skip_drops_the_event_and_park_makes_a_dead_letter(
    make: Make, answer: failure.Answer, letters: int
) -> None:
    world = make(answer)
    world.count("a", [0])
    world.count("a", [1], what="bad route")
    world.count("a", [2])

    world.settle()

    assert world.counts("a") == [(0, 1), (2, 2)]
    assert len(world.read(world.names.dead_letters)) == letters


def test_stop_stops_behind_what_came_before(make: Make) -> None:
    world = make(failure.Stop("no"))
    world.count("a", [0])
    world.count("a", [1], what="bad route")

    with pytest.raises(Stopped, match="no"):
        world.settle()

    assert world.counts("a") == [(0, 1)]
