"""The router: what cannot be read or routed, where it starts, and when it stops."""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from msgspec import Struct

from pmstream import App, failure
from pmstream.errors import ConfigurationError, Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.intake import BREAKER_RUN
from pmstream.runtime.log import Headers
from pmstream.runtime.log_errors import OffsetPending, OutcomeUnknown, Unavailable
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.router import RouterStage
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import SOURCE, Counter, World, make_app


@pytest.fixture
def world(log: MemoryLog, clock: VirtualClock, tmp_path: Path) -> Iterator[World]:
    made = World(log, tmp_path, clock)
    yield made
    made.close()


def raw(world: World, *values: bytes | None, headers: Headers = ()) -> None:
    writer = world.log.writer()
    for value in values:
        writer.produce(SOURCE, value, b"key", headers, partition=0)
    writer.flush(10)


def stage(world: World) -> RouterStage:
    found = world.workers["router-0"].stage
    assert isinstance(found, RouterStage)
    return found


class Other(Struct, frozen=True):
    """A type that the folder knows and the topic does not declare."""

    __schema__: ClassVar[str] = "world.Other"
    text: str


def undeclared() -> bytes:
    """A record of that type, its body damaged."""
    app = App(
        name="other",
        schemas=make_app().schemas,
        events={SOURCE: [Other]},
        commands={},
        process_managers=[Counter()],
    )
    return Codec(app).encode_event(SOURCE, Other(text=""))[:10] + b"\xff\xff"


def test_what_cannot_be_decoded_is_a_dead_letter_and_delays_nobody(world: World) -> None:
    world.start_all()
    world.count("a", [0])
    raw(world, b"\xc3\x01garbage!", headers=(("trace", b"t"), ("pm-x", b"y")))
    world.count("a", [1])
    world.settle()
    assert world.counts("a") == [(0, 1), (1, 2)]
    (letter,) = world.read(world.names.dead_letters)
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"key", b"\xc3\x01garbage!")
    assert headers["pm-source"] == b"world.events-0-1"
    assert headers["trace"] == b"t"
    assert b"world.events" in (headers["pm-error"] or b"")
    assert int(headers["pm-time"] or b"") > 0
    assert "pm-x" not in headers


def test_null_values_and_undeclared_types_are_ignored_and_counted(world: World) -> None:
    world.start_all()
    raw(world, None, undeclared())
    world.count("a", [0], what="ignore")
    world.count("a", [1])
    world.settle()
    assert world.counts("a") == [(1, 1)]
    assert world.read(world.names.dead_letters) == []
    assert stage(world).ignored == 3


def test_interested_that_raises_follows_the_answer(world: World) -> None:
    world.start_all()
    world.count("a", [0], what="bad route")
    world.count("a", [1])
    world.settle()
    assert world.counts("a") == [(1, 1)]


@pytest.mark.parametrize(
    ("answer", "letters"), [(failure.Skip(), 0), (failure.Park("look at it"), 1)]
)
def test_interested_may_be_skipped_or_parked(
    log: MemoryLog, clock: VirtualClock, tmp_path: Path, answer: failure.Answer, letters: int
) -> None:
    world = World(log, tmp_path, clock)
    world.manager.error = lambda *_: answer  # type: ignore[method-assign]
    world.start_all()
    world.count("a", [0], what="bad route")
    world.settle()
    assert len(world.read(world.names.dead_letters)) == letters
    world.close()


def test_interested_may_stop_the_process_manager(world: World) -> None:
    world.manager.error = lambda error, *_: failure.Stop(error)  # type: ignore[method-assign]
    world.start_all()
    world.count("a", [0])
    world.count("a", [1], what="bad route")
    with pytest.raises(Stopped, match=r"world\.events-0-1 \(Happened\): Oops: \*\*\*"):
        world.settle(lambda: False)


def test_an_undecodable_record_stops_when_told_so(
    log: MemoryLog, clock: VirtualClock, tmp_path: Path
) -> None:
    world = World(log, tmp_path, clock, app=make_app(undecodable="stop"))
    world.start(ROUTER, "router-0")
    raw(world, b"rubbish")
    with pytest.raises(Stopped, match="offset 0 cannot be decoded"):
        world.settle(lambda: False)


def test_an_unknown_schema_is_ignored_when_told_so(
    log: MemoryLog, clock: VirtualClock, tmp_path: Path
) -> None:
    world = World(log, tmp_path, clock, app=make_app(unknown_schema="ignore"))
    world.start(ROUTER, "router-0")
    raw(world, b"\xc3\x01" + b"\x07" * 8 + b"body")
    world.settle()
    assert world.read(world.names.dead_letters) == []
    assert stage(world).ignored == 1
    world.close()


def test_a_run_of_undecodable_records_trips_the_breaker_and_a_restart_counts_on(
    world: World,
) -> None:
    world.start(ROUTER, "router-0")
    raw(world, *[b"rubbish"] * (BREAKER_RUN - 10))
    world.settle()
    world.workers.pop("router-0").close()
    raw(world, *[b"rubbish"] * 50)
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match=f"{BREAKER_RUN} records in a row"):
        world.settle(lambda: False)
    assert len(world.read(world.names.dead_letters)) == BREAKER_RUN - 1
    world.workers.pop("router-0")
    world.start(ROUTER, "router-0b")
    with pytest.raises(Stopped, match="in a row"):
        world.settle(lambda: False)


def test_too_large_a_share_of_undecodable_records_trips_the_breaker(world: World) -> None:
    world.start(ROUTER, "router-0")
    for n in range(60):
        world.count("a", range(18))
        raw(world, b"rubbish")
        if n % 10 == 0:
            world.turn(2)
    with pytest.raises(Stopped, match="of the last 1000 records"):
        world.settle(lambda: False)


def test_a_pending_position_is_freed_from_its_dead_router(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    world.start(ROUTER, "router-x")
    world.count("a", [0])
    world.settle()
    world.workers.pop("router-x").close()
    world.start(ROUTER, "router-x", kill_at("commit", 1))
    world.count("a", [1])
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("router-x")
    log.lose(world.names.group(ROUTER), "router-x")
    before = clock.monotonic()
    world.start_all()
    world.settle(lambda: world.counts("a") == [(0, 1), (1, 2)])
    assert clock.monotonic() - before < 20


def test_a_coordinator_away_is_asked_again(world: World, log: MemoryLog) -> None:
    log.inject("committed", OffsetPending("away"), times=5)
    world.start_all()
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == [(0, 1)])


def test_a_coordinator_away_for_long_does_not_end_the_router(world: World, log: MemoryLog) -> None:
    pending = log.inject("committed", OffsetPending("away"), who="router-0", times=400)
    asked = log.inject("last_committed", Unavailable("away"), times=3)
    world.start_all()
    world.count("a", [0])
    world.settle(lambda: world.counts("a") == [(0, 1)])
    assert (pending.left, asked.left) == (0, 0)


def test_a_stop_after_an_unknown_outcome_commits_what_preceded_all_the_same(
    log: MemoryLog, clock: VirtualClock, tmp_path: Path
) -> None:
    world = World(log, tmp_path, clock, app=make_app(undecodable="stop"))
    world.count("a", [0])
    raw(world, b"rubbish")
    log.inject("commit", OutcomeUnknown("no answer"))
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match="cannot be decoded"):
        world.settle(lambda: False)
    assert [record.key for record in world.read(world.names.inbox)] == [b"a"]
    world.close()


@pytest.mark.parametrize("role", [ROUTER, INSTANCES])
def test_missing_topics_are_named_with_the_remedy(world: World, log: MemoryLog, role: str) -> None:
    log.delete_topic(world.names.inbox)
    with pytest.raises(ConfigurationError, match=r"world\.counter\.inbox.*topics ensure"):
        world.start(role, "x")
