"""Restores on the memory log: late markers, rebalances, moving watermarks, old disks."""

import pytest

from pmstream.errors import ConfigurationError, Stopped
from pmstream.runtime import restore, restores
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import OffsetPending
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import (
    Snapshot,
    check,
    feed,
    go_on,
    is_done,
    places,
    restored,
)
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import World


def kill_with_open_offsets(world: World, log: MemoryLog) -> None:
    """Another owner dies after its offsets were sent."""
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-1", kill_at("commit", 1))
    feed(world, 10, 11)
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("w-1")
    log.lose(world.names.group(INSTANCES), "w-1")


def test_f1_m_a_restore_frees_itself_from_a_dead_owners_transaction(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    """The new owner takes over, and nobody waits long."""
    kill_with_open_offsets(world, log)
    before = clock.monotonic()
    go_on(world, "w-2", first=11)
    assert clock.monotonic() - before < 30


def test_f1_m_a_restore_waits_for_late_markers(world: World, log: MemoryLog) -> None:
    """Decided, not yet marked: nothing of it shows, and nothing older may run."""
    log.hold_markers(held=True)
    feed(world, 10, 11)
    world.turn(40)
    world.crash("w-0")
    world.told.clear()
    world.start(INSTANCES, "w-0")
    pending = [each for each in places(world, world.names.inbox) if log.end(each, stable=True)]
    assert pending
    world.turn(40)
    log.hold_markers(held=False)
    world.settle(lambda: is_done(world, 11))
    world.settle()
    check(world, 11)


def test_f3_m_compacted_gaps_and_aborted_ends_do_not_stop_a_restore(
    world: World, log: MemoryLog
) -> None:
    for place in places(world, world.names.changelog):
        producer = log.producer("somebody")
        producer.begin()
        producer.produce(place.topic, b"x", b"iaborted", (), place.partition)
        producer.flush(1)
        producer.abort(1)
        producer.drop()
    log.compact(world.names.changelog)
    world.crash("w-0")
    go_on(world, "elsewhere")


@pytest.mark.parametrize("step", range(8))
def test_f4_m_a_rebalance_at_any_step_of_a_restore(
    world: World, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 4)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    for name in ("x", "y"):
        world.start(INSTANCES, name)
    for _ in range(3):
        world.turn(step)
        log.rebalance(world.names.group(INSTANCES), rotate=True)
    feed(world, 10, 15)
    world.settle(lambda: is_done(world, 15))
    world.settle()
    check(world, 15)


@pytest.mark.parametrize("step", range(6))
def test_f5_m_the_low_watermark_moves_during_a_restore(
    world: World, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    world.start(INSTANCES, "elsewhere")
    world.turn(step)
    log.compact(world.names.changelog)
    truncate_gaps(world, log)
    world.settle()
    check(world, 10)


def truncate_gaps(world: World, log: MemoryLog) -> None:
    """The log begins where its first record stands."""
    changelog = world.read(world.names.changelog)
    for place in places(world, world.names.changelog):
        there = [each.offset for each in changelog if each.partition == place.partition]
        log.truncate(place, min(there, default=0))


def test_f6_m_a_pinned_changelog_is_a_named_error(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    producer = log.producer("somebody else")
    producer.begin()
    for place in places(world, world.names.changelog):
        producer.produce(place.topic, b"x", b"ipinned", (), place.partition)
    producer.flush(1)
    log.pin("somebody else")
    world.start(INSTANCES, "elsewhere")
    with pytest.raises(Stopped, match="has not moved for 60 s"):
        world.settle(lambda: False, turns=20_000)


def test_f7_m_a_checkpoint_below_the_changelogs_start_begins_anew(
    world: World, log: MemoryLog
) -> None:
    world.workers.pop("w-0").close()
    old = Snapshot(world)
    world.start(INSTANCES, "w-0")
    feed(world, 10, 15)
    world.settle()
    world.workers.pop("w-0").close()
    old.restore()
    log.compact(world.names.changelog)
    truncate_gaps(world, log)
    world.told.clear()
    world.start(INSTANCES, "w-0")
    world.settle()
    check(world, 15)
    assert any(
        what == "store emptied" and "below the changelog's start" in text
        for what, _, text in world.told
    )


@pytest.mark.parametrize("filling", [1, 50_000], ids=["filling", "catching up"])
def test_f8_m_killed_in_the_middle_of_a_restore(
    world: World, monkeypatch: pytest.MonkeyPatch, filling: int
) -> None:
    """Each start reads a little and dies; none calls itself complete before it is."""
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 3)
    monkeypatch.setattr(restore, "FILLING_RECORDS", filling)
    world.crash("w-0")
    world.told.clear()
    for turns in (2, 3, 4, 5, 6):
        world.start(INSTANCES, "elsewhere")
        world.turn(turns)
        for name, text in world.stores().items():
            assert world.changelog()[name] == text  # those that run are whole
        world.crash("elsewhere")
    go_on(world, "elsewhere")


def test_f9_m_a_coordinator_away_is_asked_again(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.inject("committed", OffsetPending("coordinator away"), times=4)
    go_on(world, "elsewhere")


@pytest.mark.parametrize("name", ["w-0", "elsewhere"])
def test_f9_m_no_offset_told_once_does_not_start_at_the_origin(
    world: World, log: MemoryLog, name: str
) -> None:
    world.crash("w-0")
    told = log.inject("committed", None, who=name, times=3)
    go_on(world, name)
    assert told.hits == 3


def test_f9_m_a_router_that_is_told_no_offset_asks_again(world: World, log: MemoryLog) -> None:
    before = [log.end(each, stable=True) for each in places(world, world.names.inbox)]
    world.workers.pop("router-0").close()
    told = log.inject("committed", None, who="router-0", times=2)
    world.start("router", "router-0")
    world.settle()
    assert told.hits == 2
    assert [log.end(each, stable=True) for each in places(world, world.names.inbox)] == before


def test_f9_m_an_unknown_end_is_asked_again(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.inject("end", None, times=3)
    go_on(world, "elsewhere")


def test_f35_m_a_copy_older_than_the_tombstones_is_rebuilt(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    """A stopped instance stays stopped, though its tombstone is gone."""
    world.count("a", [10], what="stop")
    world.settle()
    world.workers.pop("w-0").close()
    old = Snapshot(world)
    world.start(INSTANCES, "w-0")
    world.count("b", [10], what="stop")
    world.settle()
    world.workers.pop("w-0").close()
    old.restore()
    clock.advance(8 * 24 * 3600)
    log.compact(world.names.changelog, tombstones=True)
    world.told.clear()
    world.start(INSTANCES, "w-0")
    world.settle()
    assert world.stores() == world.changelog()
    assert restored(world) > 0


def test_f36_m_expired_positions_come_back_from_the_commit_record(
    world: World, log: MemoryLog
) -> None:
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    log.forget_positions(world.names.group(INSTANCES))
    go_on(world, "elsewhere")


def test_f24_m_partitions_that_were_added_are_refused_with_the_numbers(
    world: World, log: MemoryLog
) -> None:
    """To all its topics alike: only the commit records know."""
    world.workers.pop("w-0").close()
    for topic in (world.names.inbox, world.names.changelog, world.names.orders):
        log.add_partitions(topic, 5)
    world.start(INSTANCES, "w-0")
    with pytest.raises(ConfigurationError, match=r"has 5 partitions.*when there were 3"):
        world.settle(lambda: False)
