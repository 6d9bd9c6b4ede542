"""The purge of the inbox: what was handled and is old goes, and nothing else ever."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import Fenced, LogError, MustAbort, Refused
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.purge import PURGE_SECONDS
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import check, feed, go_on, is_done, partitions_of, places, stage_of, warmed
from tests.runtime.world import World

HOUR = 3_600.0


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    made = World(log, tmp_path, clock, max_batch_records=5, inbox_retention_hours=1)
    yield warmed(made)
    made.close()


def starts(world: World) -> list[int | None]:
    return [world.log.start(each) for each in places(world, world.names.inbox)]


def positions(world: World) -> list[int]:
    """The committed position of each inbox partition."""
    inbox = places(world, world.names.inbox)
    known = world.log.last_committed(world.names.group(INSTANCES), inbox)
    return [known[each].position if each in known else 0 for each in inbox]


def pass_time(world: World, clock: VirtualClock, seconds: float) -> None:
    """Lets time pass in steps that no member's session notices."""
    until = clock.monotonic() + seconds
    while clock.monotonic() < until:
        clock.advance(5)
        world.turn()


def test_f22_m_what_is_old_and_handled_goes_what_is_young_stays(
    world: World, clock: VirtualClock
) -> None:
    pass_time(world, clock, HOUR / 2)
    before = positions(world)
    feed(world, 10, 12)
    world.settle()
    assert starts(world) == [0, 0, 0]
    pass_time(world, clock, HOUR / 2 + PURGE_SECONDS + 10)
    assert len(world.read(world.names.inbox)) == 6, "the young ones, all of them"
    assert all((low or 0) > 0 for low, at in zip(starts(world), before, strict=True) if at)
    assert any(what == "inbox" and "purged from 0" in text for what, _, text in world.told)
    go_on(world, "another", 12, 14)


@pytest.mark.parametrize("call", ["flush", "send_offsets", "commit"])
@pytest.mark.parametrize("error", [MustAbort, Fenced])
def test_f22_m_an_aborted_batch_is_not_purged(
    world: World, log: MemoryLog, clock: VirtualClock, call: str, error: type[LogError]
) -> None:
    """Old enough and handled, but never committed: the purge comes between abort and repetition."""
    world.workers.pop("w-0").close()
    feed(world, 10, 12)
    world.settle()
    clock.advance(2 * HOUR)
    before = positions(world)
    seen: list[tuple[list[int | None], list[int]]] = []

    def probe(step: str) -> None:
        """The timer would do this between turns only; here it does it at its worst."""
        for part in partitions_of(world):
            stage_of(world)._purge.partition(part.source, part.position)
        seen.append((starts(world), positions(world)))

    worker = world.start(INSTANCES, "w-0", probe)
    injected = log.inject(call, error("refused"), who=worker._id)
    world.settle(lambda: is_done(world, 12))
    assert injected.hits == 1
    assert before != positions(world)
    assert any(low != [0, 0, 0] for low, _ in seen)
    for low, position in seen:
        assert all((each or 0) <= at for each, at in zip(low, position, strict=True))
    world.settle()
    check(world, 12)


def test_f22_m_a_log_that_refuses_to_purge_is_told_and_harms_nobody(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    log.inject("delete_records", Refused("not authorised"), times=10)
    pass_time(world, clock, HOUR + PURGE_SECONDS + 10)
    assert any("not purged" in text for what, _, text in world.told if what == "inbox")
    go_on(world, "another", 10, 12)


def test_f50_m_stopped_for_longer_than_the_retention_nothing_unhandled_is_gone(
    world: World, clock: VirtualClock
) -> None:
    world.workers.pop("w-0").close()
    feed(world, 10, 20)
    world.settle()
    clock.advance(100 * HOUR)
    before = positions(world)
    world.start(INSTANCES, "w-0")
    world.turn(3)
    pass_time(world, clock, PURGE_SECONDS + 10)
    assert all((low or 0) <= at for low, at in zip(starts(world), positions(world), strict=True))
    assert positions(world) != before
    check(world, 20)
