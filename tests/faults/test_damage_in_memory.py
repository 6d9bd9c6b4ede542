"""Damage that is found while a partition runs: its store is rebuilt, its neighbours go on."""

from pathlib import Path
from typing import Any

import pytest

from pmstream.runtime import restores
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import MustAbort
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import Store, StoreCorrupt
from tests.faults.kit import check, feed, go_on, is_done, partitions_of, warmed
from tests.faults.test_store import flip_blocks
from tests.runtime.world import World


def emptied(world: World) -> list[str]:
    return [text for what, _, text in world.told if what == "store emptied"]


def test_f27_m_flipped_bytes_under_a_running_partition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real damage: blocks that are not cached any more are read from the disk."""
    monkeypatch.setattr("pmstream.runtime.store._BLOCK_CACHE_BYTES", 1)
    world.settings = world.settings.model_copy(update={"cache_bytes": 0})
    world.workers.pop("w-0").close()
    world.start("instances", "elsewhere")
    many = [f"process-{n}" for n in range(400)]
    for each in many:
        world.count(each, [0])
    world.settle()
    for part in partitions_of(world, "elsewhere"):
        part.store.flush()
        flip_blocks(part.store.path)
    for each in many:
        world.count(each, [1])
    world.settle()
    assert len(world.commands()) == 30 + 2 * len(many)
    assert any("damaged" in text for text in emptied(world))
    assert world.stores() == world.changelog()


@pytest.mark.parametrize("call", ["get", "write", "flush", "scan"])
def test_f27_m_damage_found_by_any_call_is_rebuilt(
    world: World, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    part = next(each for each in partitions_of(world) if each.position)
    damaged = part.store
    done, original = [0], getattr(Store, call)

    def failing(store: Store, *arguments: object) -> object:
        if store is damaged and not done[0]:
            done[0] += 1
            raise StoreCorrupt("store is damaged: a test")
        return original(store, *arguments)

    part._batch.instances._cache.clear()
    monkeypatch.setattr(Store, call, failing)
    world.manager.retry_delay = 1
    if call == "flush":
        world.workers["w-0"].stage._owned[part.number].flush_at = 0.0  # type: ignore[attr-defined]
    if call == "scan":
        log.inject(
            "flush",
            MustAbort("so that what is due is looked up again"),
            who=world.workers["w-0"]._id,
        )
    feed(world, 10, 15)
    world.settle(lambda: is_done(world, 15))
    world.settle()
    assert done == [1]
    assert emptied(world) == ["store is damaged: a test"]
    check(world, 15)


@pytest.mark.parametrize("write", range(1, 5))
def test_f27_m_damage_found_in_mid_restore_begins_at_the_start_again(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    """Else the reader goes on in the middle, and half a state is taken for a whole one."""
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 3)
    world = World(log, tmp_path, clock, partitions=1, max_batch_records=5)
    world.count("touched once, at the beginning", [0])
    warmed(world)
    world.crash("w-0")
    original, writes = Store.write, [0]

    def failing(store: Store, *arguments: Any) -> None:
        writes[0] += 1
        if writes[0] == write:
            raise StoreCorrupt("store is damaged: a test")
        original(store, *arguments)

    monkeypatch.setattr(Store, "write", failing)
    go_on(world, "elsewhere")
    assert emptied(world) == ["store is damaged: a test"]
    world.close()
