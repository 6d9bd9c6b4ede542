"""Positions on the memory log: moved, expired, no longer retained, of another topic."""

import pytest

from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.sources import Note, dump_note
from tests.faults.kit import PROCESSES, feed, places, restored, stage_of
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import SOURCE, Happened, World


def test_f25_m_a_position_no_longer_retained_stops_and_keeps_the_state(
    world: World, log: MemoryLog
) -> None:
    world.crash("w-0")
    feed(world, 10, 11)
    world.settle()
    for place in places(world, world.names.inbox):
        end = log.end(place, stable=True)
        assert end is not None
        log.delete_records({place: end})
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match=r"no longer retained, the log starts at .* state is kept"):
        world.settle(lambda: False)
    stores = [each.store for each in stage_of(world)._owned.values()]
    assert {key for each in stores if each for key, _ in each.scan(b"i", b"j")} == {
        b"i" + each.encode() for each in PROCESSES
    }


def test_f37_m_positions_moved_from_outside_are_refused(world: World, log: MemoryLog) -> None:
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    moved = dict.fromkeys(places(world, world.names.inbox), Committed(0))
    log.set_positions(world.names.group(INSTANCES), moved)
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="positions were moved from outside"):
        world.settle(lambda: False)


def test_f37_m_a_routers_positions_set_from_outside_are_refused(
    world: World, log: MemoryLog
) -> None:
    world.workers.pop("router-0").close()
    log.lose(world.names.group(ROUTER), "router-0")
    log.set_positions(world.names.group(ROUTER), {TopicPartition(SOURCE, 0): Committed(0)})
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match="set from outside"):
        world.settle(lambda: False)


def test_f38_m_a_key_in_a_wrong_partition_stops_and_names_both(fresh: World) -> None:
    fresh.count("a", [0])
    fresh.settle()
    (record,) = fresh.read(fresh.names.inbox)
    writer = fresh.log.writer()
    wrong = (record.partition + 1) % 3
    writer.produce(fresh.names.inbox, record.value, record.key, record.headers, partition=wrong)
    writer.flush(1)
    with pytest.raises(Stopped, match=r"murmur2.*another partitioner or partition count"):
        fresh.settle(lambda: False)


def test_f44_m_a_dead_routers_open_transaction_is_ended_by_the_inboxs_owner(
    world: World, log: MemoryLog, clock: VirtualClock
) -> None:
    """Killed in the flush, before its offsets: nothing but its records tells whose they are."""
    world.workers.pop("router-0").close()
    world.start(ROUTER, "router-x", kill_at("offsets", 1))
    world.count("a", [10])
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash("router-x")
    log.lose(world.names.group(ROUTER), "router-x")
    before = clock.monotonic()
    world.start(ROUTER, "router-0")
    world.count("a", [11])
    world.settle(lambda: world.counts("a")[-1:] == [(11, 12)], turns=5_000)
    assert clock.monotonic() - before < 7  # takeover, and the 5 s of protocol §4 a
    assert world.counts("a") == [(n, n + 1) for n in range(12)]


def test_f45_m_a_partition_that_appears_later_starts_at_its_beginning(
    fresh: World, log: MemoryLog
) -> None:
    fresh.count("a", [0])
    fresh.settle()
    log.add_partitions(SOURCE, 3)
    writer = log.writer()
    value = fresh.codec.encode_event(SOURCE, Happened(process="b", what="go", n=7))
    writer.produce(SOURCE, value, b"k", (), partition=2)
    writer.flush(1)
    fresh.settle(lambda: fresh.counts("b") == [(7, 1)])


def test_f45_m_a_topic_made_anew_is_refused(fresh: World, log: MemoryLog) -> None:
    fresh.count("a", range(3))
    fresh.settle()
    fresh.workers.pop("router-0").close()
    log.delete_topic(SOURCE)
    log.create_topics([TopicSpec(SOURCE, 2)])
    fresh.count("a", [0])
    place = TopicPartition(SOURCE, 0)
    log.lose(fresh.names.group(ROUTER), "router-0")
    note = dump_note(Note("x", "old id"))
    log.set_positions(fresh.names.group(ROUTER), {place: Committed(0, note)})
    fresh.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match="belongs to an earlier topic"):
        fresh.settle(lambda: False)


def test_f45_m_a_router_whose_positions_expired_is_refused_with_the_remedy(
    world: World, log: MemoryLog
) -> None:
    world.workers.pop("router-0").close()
    log.lose(world.names.group(ROUTER), "router-0")
    log.forget_positions(world.names.group(ROUTER))
    world.start(ROUTER, "router-0")
    with pytest.raises(Stopped, match=r"topics ensure.*its positions have expired"):
        world.settle(lambda: False)


def test_f49_m_a_router_moved_back_runs_nothing_twice(fresh: World, log: MemoryLog) -> None:
    """After processes have ended; the UUID of one of them is used again then."""
    fresh.count("a", range(3))
    fresh.count("a", [3], what="stop")
    fresh.count("b", range(3))
    fresh.settle()
    before = fresh.commands()
    fresh.workers.pop("router-0").close()
    log.lose(fresh.names.group(ROUTER), "router-0")
    fresh.start_at_origin()
    fresh.start(ROUTER, "router-0")
    fresh.settle()
    assert fresh.commands() == before
    fresh.count("a", [9])
    fresh.settle()
    assert fresh.counts("a")[-1] == (9, 1)
    ids = [dict(each.headers)["command-id"] for each in fresh.read(fresh.target)]
    assert len(set(ids)) == len(ids)
    assert restored(fresh) == 0
