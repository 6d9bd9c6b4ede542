"""Records are read ahead of their turn while the log takes a batch: that saves time, no more."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.runtime.ahead import PIECE_SECONDS, SLOW_SECONDS, WINDOW_SECONDS, Ahead
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import MustAbort
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.direct_world import Direct
from tests.runtime.world import SOURCE, Happened, World, make_app

EVENTS = range(24)
UNDER_WAY = {"flush", "offsets"}
"""Steps of a commit in which the log has the batch, and the worker nothing to do."""


# When a worker reads


class Slow:
    """A stage whose every record takes so long to read."""

    def __init__(self, clock: VirtualClock, seconds: float) -> None:
        self.clock, self.seconds, self.pieces = clock, seconds, 0

    def read_ahead(self, now: int, is_time: Callable[[], bool]) -> bool:
        """Reads while there is time; there is always more."""
        self.pieces += 1
        while is_time():
            self.clock.advance(self.seconds)
        return True


def test_a_piece_is_short(clock: VirtualClock) -> None:
    began = clock.monotonic()
    stage: Any = Slow(clock, 0.0004)

    assert Ahead(stage, clock)()

    assert clock.monotonic() - began < 0.002


def test_who_reads_slowly_delays_commits_by_so_much_at_most(clock: VirtualClock) -> None:
    slow = SLOW_SECONDS / 4
    stage: Any = Slow(clock, slow)
    ahead = Ahead(stage, clock)

    while ahead():
        assert stage.pieces < 10
    assert stage.pieces * (slow - PIECE_SECONDS) <= SLOW_SECONDS + slow
    before = stage.pieces
    clock.advance(WINDOW_SECONDS)
    assert ahead()
    assert stage.pieces == before + 1


def test_a_machine_that_stops_for_a_moment_does_not_count(clock: VirtualClock) -> None:
    stage: Any = Slow(clock, 0.0004)
    ahead = Ahead(stage, clock)

    for _ in range(500):
        assert ahead()


# A whole worker


class Asked:
    """When `interested` was asked, by the number of its event."""

    def __init__(self, world: World) -> None:
        self.world, self.step = world, ""
        self.numbers: list[int] = []
        self.ahead: set[int] = set()
        interested = world.manager.interested

        def asked(event: Happened) -> Any:
            self.numbers.append(event.n)
            if self.step in UNDER_WAY:
                self.ahead.add(event.n)
            return interested(event)

        world.manager.interested = asked  # type: ignore[method-assign]

    def probe(self, step: str) -> None:
        """Hears the steps of each commit."""
        self.step = step


Make = Callable[..., World]


@pytest.fixture(params=[ROUTER, "direct"])
def make(
    request: pytest.FixtureRequest, log: MemoryLog, clock: VirtualClock, tmp_path: Path
) -> Iterator[Make]:
    made: list[World] = []

    def make(**options: Any) -> World:
        if request.param == ROUTER:
            app = make_app(**options)
            world = World(log, tmp_path, clock, 1, app, max_batch_records=4)
        else:
            app = make_app(keyed=SOURCE, **options)
            world = Direct(log, tmp_path, clock, 1, app, inbox_partitions=1, max_batch_records=4)
        made.append(world)
        return world

    yield make
    for world in made:
        world.close()


def started(world: World) -> Asked:
    """Workers of the world, the one that asks `interested` watched."""
    asked = Asked(world)
    if not isinstance(world, Direct):
        world.start(ROUTER, "router-0", asked.probe)
        world.start(INSTANCES, "w-0")
    else:
        world.start(INSTANCES, "w-0", asked.probe)
    return asked


def test_interested_is_asked_once_of_each_event_of_most_while_a_batch_is_under_way(
    make: Make,
) -> None:
    world = make()
    asked = started(world)
    world.count("a", EVENTS)
    world.settle()

    assert world.counts("a") == [(n, n + 1) for n in EVENTS]
    assert asked.numbers == list(EVENTS)
    assert asked.ahead >= set(EVENTS[8:])


def test_not_with_event_timeout_because_author_code_may_take_its_time_there(make: Make) -> None:
    world = make(event_timeout=5)
    asked = started(world)
    world.count("a", EVENTS)
    world.settle()

    assert world.counts("a") == [(n, n + 1) for n in EVENTS]
    assert asked.numbers == list(EVENTS)
    assert not asked.ahead


def test_an_interested_that_fails_ahead_of_its_turn_fails_once_and_in_its_turn(make: Make) -> None:
    world = make()
    errors: list[str] = []
    error = world.manager.error

    def told(raised: Exception, failed: Any, context: Any) -> Any:
        errors.append(f"{failed.n}")
        return error(raised, failed, context)

    world.manager.error = told  # type: ignore[method-assign, assignment]
    asked = started(world)
    world.count("a", EVENTS[:20])
    world.count("a", EVENTS[20:21], what="bad route")
    world.count("a", EVENTS[21:])
    world.settle()

    assert 20 in asked.ahead
    assert errors == ["20"]
    assert [n for n, _ in world.counts("a")] == [n for n in EVENTS if n != 20]


def test_what_cannot_be_decoded_ahead_of_its_turn_is_a_dead_letter_in_its_turn(make: Make) -> None:
    world = make()
    asked = started(world)
    world.count("a", EVENTS[:20])
    world.writer.produce(SOURCE, b"rubbish", b"a", (), partition=0)
    world.writer.flush(10)
    world.count("a", EVENTS[20:])
    world.settle()

    (letter,) = world.read(world.names.dead_letters)
    assert letter.value == b"rubbish"
    assert 21 in asked.ahead
    assert world.counts("a") == [(n, n + 1) for n in EVENTS]


def test_a_batch_that_is_done_again_is_as_if_it_were_the_first(make: Make, log: MemoryLog) -> None:
    world = make()
    asked = started(world)
    world.count("a", EVENTS)
    for step in ("flush", "send_offsets", "commit"):
        log.inject(step, MustAbort("no"))
    world.settle()

    assert asked.ahead
    assert world.counts("a") == [(n, n + 1) for n in EVENTS]


def test_an_inbox_is_read_ahead_too(
    log: MemoryLog, clock: VirtualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(log, tmp_path, clock, 1, make_app(), max_batch_records=4)
    steps: list[str] = []
    decoded: set[str] = set()
    world.start(ROUTER, "router-0")
    world.count("a", EVENTS)
    world.settle()
    worker = world.start(INSTANCES, "w-0", steps.append)
    coder: Any = worker.stage._restores._setup.coder  # type: ignore[attr-defined]
    decode_event = coder.decode_event

    def decode(routed: Any) -> Any:
        decoded.add(steps[-1] if steps else "")
        return decode_event(routed)

    monkeypatch.setattr(coder, "decode_event", decode)
    world.settle()

    assert decoded & UNDER_WAY
    assert world.counts("a") == [(n, n + 1) for n in EVENTS]
    world.close()
