"""Restores: from nothing, from a stale disk, behind open transactions, over every kind of gap."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.log_errors import OffsetPending
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.test_crash import Killed, kill_at
from tests.runtime.world import World


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def log(clock: VirtualClock) -> MemoryLog:
    return MemoryLog(clock)


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    made = World(log, tmp_path, clock, max_batch_records=5)
    made.start_all()
    for n in range(10):
        for process in ("a", "b", "c"):
            made.count(process, [n])
    made.settle()
    yield made
    made.close()


def go_on(world: World, name: str, first: int = 10, last: int = 20) -> None:
    """Starts a worker, feeds it, and checks everything."""
    world.start(INSTANCES, name)
    for n in range(first, last):
        for process in ("a", "b", "c"):
            world.count(process, [n])
    expected = [(n, n + 1) for n in range(last)]
    world.settle(lambda: all(world.counts(each) == expected for each in "abc"))
    world.settle()
    assert [world.counts(each) for each in "abc"] == [expected] * 3
    assert world.stores() == world.changelog()


def restored(world: World) -> int:
    """Changelog records read by the latest restore of each partition."""
    latest = {part: text for what, part, text in world.told if what == "running"}
    return sum(int(text.split()[0]) for text in latest.values())


def test_an_empty_disk_is_restored_from_the_changelog(world: World) -> None:
    world.crash("w-0")
    go_on(world, "elsewhere")
    assert restored(world) > 0


def test_a_warm_restart_reads_nothing(world: World) -> None:
    """K equals O: the changelog is not even looked at."""
    world.workers.pop("w-0").close()
    go_on(world, "w-0")
    assert restored(world) == 0


def test_a_stale_disk_catches_up(world: World, tmp_path: Path) -> None:
    """The folder of an hour ago is put back, as a snapshot of a volume is."""
    world.workers.pop("w-0").close()
    folder = tmp_path / "world" / "counter" / "w-0"
    shutil.copytree(folder, tmp_path / "copy")
    go_on(world, "w-0")
    world.workers.pop("w-0").close()
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    world.told.clear()
    world.start(INSTANCES, "w-0")
    world.settle()
    assert restored(world) > 0
    assert world.stores() == world.changelog()


def test_f3_compacted_gaps_and_aborted_ends_do_not_stop_a_restore(
    world: World, log: MemoryLog
) -> None:
    for part in range(3):
        producer = log.producer("somebody")
        producer.begin()
        producer.produce(world.names.changelog, b"x", b"iaborted", (), part)
        producer.flush(1)
        producer.abort(1)
        producer.drop()
    log.compact(world.names.changelog)
    world.crash("w-0")
    go_on(world, "elsewhere")


def test_f1_a_restore_waits_for_an_open_transaction_of_another_owner(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    """The old owner died with its offsets sent: the new one takes over, and nobody waits long."""
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-1", kill_at("commit", 1))
    for process in ("a", "b", "c"):
        world.count(process, [10])
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("w-1")
    log.lose(world.names.group(INSTANCES), "w-1")
    before = clock.monotonic()
    go_on(world, "w-2", first=11)
    assert clock.monotonic() - before < 30


def test_f9_no_offset_told_once_is_asked_again(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.inject("committed", OffsetPending("coordinator away"), times=4)
    go_on(world, "elsewhere")


def test_f2_an_unknown_end_is_asked_again(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.inject("end", None, times=3)
    go_on(world, "elsewhere")


def test_f7_a_checkpoint_below_the_changelogs_start_begins_anew(
    world: World, log: MemoryLog, tmp_path: Path
) -> None:
    world.workers.pop("w-0").close()
    folder = tmp_path / "world" / "counter" / "w-0"
    shutil.copytree(folder, tmp_path / "copy")
    world.start(INSTANCES, "w-0")
    for n in range(10, 15):
        for process in ("a", "b", "c"):
            world.count(process, [n])
    world.settle()
    world.workers.pop("w-0").close()
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    log.compact(world.names.changelog)
    changelog = world.read(world.names.changelog)
    for part in range(3):
        place = TopicPartition(world.names.changelog, part)
        present = [each.offset for each in changelog if each.partition == part]
        first = min(present, default=0)
        log.truncate(place, first)
    world.told.clear()
    world.start(INSTANCES, "w-0")
    world.settle()
    assert world.stores() == world.changelog()


def test_f35_a_copy_older_than_the_tombstones_is_rebuilt(
    world: World, clock: VirtualClock, tmp_path: Path
) -> None:
    """A stopped instance stays stopped, though its tombstone is gone."""
    world.count("a", [10], what="stop")
    world.settle()
    world.workers.pop("w-0").close()
    folder = tmp_path / "world" / "counter" / "w-0"
    shutil.copytree(folder, tmp_path / "copy")
    world.start(INSTANCES, "w-0")
    world.count("b", [10], what="stop")
    world.settle()
    world.workers.pop("w-0").close()
    shutil.rmtree(folder)
    (tmp_path / "copy").rename(folder)
    clock.advance(8 * 24 * 3600)
    assert isinstance(world.log, MemoryLog)
    world.log.compact(world.names.changelog, tombstones=True)
    world.start(INSTANCES, "w-0")
    world.settle()
    assert world.stores() == world.changelog()


def test_f36_expired_positions_come_back_from_the_commit_record(
    world: World, log: MemoryLog
) -> None:
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    log.forget_positions(world.names.group(INSTANCES))
    go_on(world, "elsewhere")


def test_f37_positions_moved_from_outside_are_refused(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    places = [TopicPartition(world.names.inbox, part) for part in range(3)]
    log.set_positions(world.names.group(INSTANCES), dict.fromkeys(places, Committed(0)))
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="positions were moved from outside"):
        world.settle(lambda: False)


def test_f6_a_pinned_changelog_is_a_named_error(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    world.crash("w-0")
    producer = log.producer("somebody else")
    producer.begin()
    for part in range(3):
        producer.produce(world.names.changelog, b"x", b"ipinned", (), part)
    producer.flush(1)
    log.pin("somebody else")
    world.start(INSTANCES, "elsewhere")
    with pytest.raises(Stopped, match="has not moved for 60 s"):
        world.settle(lambda: False, turns=20_000)


def test_f25_a_position_no_longer_retained_stops_with_the_remedy(
    world: World, log: MemoryLog
) -> None:
    world.crash("w-0")
    world.count("a", [10])
    world.count("b", [10])
    world.count("c", [10])
    world.settle()
    for part in range(3):
        place = TopicPartition(world.names.inbox, part)
        end = log.end(place, stable=True)
        assert end is not None
        log.delete_records({place: end})
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="no longer retained"):
        world.settle(lambda: False)


def test_f44_a_dead_routers_open_transaction_is_ended_by_the_inboxs_owner(
    world: World, clock: VirtualClock
) -> None:
    """Killed in the flush, before its offsets: nothing but its records tells whose they are."""
    world.workers.pop("router-0").close()
    world.start(ROUTER, "router-x", kill_at("offsets", 1))
    world.count("a", [10])
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("router-x")
    assert isinstance(world.log, MemoryLog)
    world.log.lose(world.names.group(ROUTER), "router-x")
    before = clock.monotonic()
    world.start(ROUTER, "router-0")
    world.count("a", [11])
    world.settle(lambda: world.counts("a")[-1:] == [(11, 12)], turns=5_000)
    assert clock.monotonic() - before < 30
    assert world.counts("a") == [(n, n + 1) for n in range(12)]


def test_two_workers_share_and_hand_over(world: World) -> None:
    world.start(INSTANCES, "w-1")
    for n in range(10, 20):
        for process in ("a", "b", "c"):
            world.count(process, [n])
        world.turn(3)
    world.settle()
    world.crash("w-0")
    expected = [(n, n + 1) for n in range(20)]
    world.settle(lambda: all(world.counts(each) == expected for each in "abc"), turns=10_000)
    world.settle()
    assert world.stores() == world.changelog()
