"""Restores: from nothing, from a stale disk, behind open transactions, over every kind of gap."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.runtime import restore, restores
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import Again
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.restores import Owned
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.worker import Worker
from tests.runtime.rocks import trigger
from tests.runtime.world import World


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


def owned_by(worker: Worker) -> list[Owned]:
    assert isinstance(worker.stage, InstancesStage)
    return list(worker.stage._owned.values())


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


def test_a_worker_frozen_as_its_restore_ends_takes_a_newer_owners_purge_for_no_loss(
    world: World, log: MemoryLog
) -> None:
    """Found by the simulation: the position it had asked for was purged behind its back."""
    world.workers.pop("w-0").close()
    log.lose(world.names.group(INSTANCES), "w-0")
    no_leader = log.inject("seek", Again("no leader"), who="frozen", times=100)
    frozen = world.start(INSTANCES, "frozen")
    while not no_leader.hits:
        frozen.turn()
    no_leader.left = 0
    del world.workers["frozen"]
    log.lose(world.names.group(INSTANCES), "frozen")
    go_on(world, "w-1")
    for part in range(3):
        place = TopicPartition(world.names.inbox, part)
        log.delete_records({place: log.end(place, stable=True) or 0})
    frozen.turn()
    world.workers["frozen"] = frozen
    world.count("a", [20])
    world.settle(lambda: world.counts("a")[-1] == (20, 21))


def test_a_worker_frozen_before_the_first_commit_does_not_run_on_half_of_it(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found by the simulation: it had heard of no position, then read into a transaction."""
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    world = World(log, tmp_path, clock, partitions=1)
    world.start(ROUTER, "router-0")
    frozen = world.start(INSTANCES, "frozen")
    while not any(each.restore and each.restore.reading for each in owned_by(frozen)):
        frozen.turn()
    del world.workers["frozen"]
    log.lose(world.names.group(INSTANCES), "frozen")
    for process in ("a", "b", "c"):
        world.count(process, [0])
    world.start(INSTANCES, "w-1")
    world.settle()
    assert len(world.commands()) == 3
    world.told.clear()
    frozen.turn()
    assert "running" not in [what for what, _, _ in world.told]
    frozen.close()
    world.close()


def test_a_restore_reads_its_next_chunk_without_waiting_for_events(
    world: World, log: MemoryLog, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """10 ms a chunk were a third of all time."""
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    worker = world.start(INSTANCES, "elsewhere")
    while not any(each.restore and each.restore.records for each in owned_by(worker)):
        worker.turn()
    before = clock.monotonic()

    worker.turn()

    assert clock.monotonic() == before
    assert any(each.restore and each.restore.records > 2 for each in owned_by(worker))


def test_a_long_restore_fills_its_stores_and_leaves_them_as_usual(
    world: World, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    monkeypatch.setattr(restore, "FILLING_RECORDS", 3)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    worker = world.start(INSTANCES, "elsewhere")

    while not any(each.restore and each.restore.records for each in owned_by(worker)):
        worker.turn()
    reading = [each for each in owned_by(worker) if each.restore and each.restore.records]
    while_reading = {trigger(each.store.path) for each in reading if each.store}
    world.settle()

    assert while_reading == {"16"}
    assert {trigger(each.store.path) for each in owned_by(worker) if each.store} == {"4"}
    assert world.stores() == world.changelog()


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
