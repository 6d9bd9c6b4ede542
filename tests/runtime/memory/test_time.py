"""What the clock does to the memory log, and the clocks themselves."""

import pytest

from pmstream.runtime.clock import Clock, SystemClock, VirtualClock
from pmstream.runtime.log import Committed
from pmstream.runtime.log_errors import Fenced, MustAbort
from pmstream.runtime.memory import MemoryLog
from tests.contract.world import CALL, World


def test_an_old_transaction_is_aborted_and_its_owner_fenced(
    world: World, clock: VirtualClock
) -> None:
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"slow"])

    clock.advance(59.9)
    assert world.end(partition, stable=True) == 0
    clock.advance(0.1)

    assert world.end(partition, stable=True) == 2
    with pytest.raises(Fenced):
        producer.commit(CALL)
    assert world.values(partition) == []


def test_a_wait_ends_as_soon_as_time_has_freed_the_records(clock: VirtualClock) -> None:
    world = World(MemoryLog(clock, transaction_timeout_ms=1_000), clock, lambda _name: None)
    partition, producer = world.partition(), world.producer()
    world.stage(producer, partition, [b"slow"])
    world.write(partition, [b"behind"])
    reader = world.log.reader()
    reader.assign({partition: 0})

    assert [record.value for record in reader.read(10, 2.0)] == [b"behind"]


def test_a_member_that_does_not_gather_is_removed_and_told_lost(
    world: World, clock: VirtualClock
) -> None:
    topic, group = world.topic(2), world.name("group")
    one, two = world.member(group, [topic]), world.member(group, [topic])
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 1, one, two)
    stale = two.consumer.membership()

    for _ in range(12):
        clock.advance(1.0)
        one.gather(timeout=0)
    assert len(one.owned) == 2
    producer = world.producer()
    producer.begin()
    assert stale is not None
    with pytest.raises(MustAbort, match="UNKNOWN_MEMBER_ID"):
        producer.send_offsets(stale, {world.partition(): Committed(1)}, CALL)

    two.gather()
    assert two.names() == ["assigned", "lost"]
    assert two.consumer.membership() is None
    world.gather_until(lambda: len(one.owned) == len(two.owned) == 1, one, two)


def test_a_waiting_call_moves_virtual_time_only(world: World, clock: VirtualClock) -> None:
    partition = world.partition()
    member = world.joined([partition.topic])
    before = clock.monotonic()

    member.gather(timeout=3.0)
    member.gather(0, timeout=3.0)

    assert clock.monotonic() == before + 6.0


def test_the_virtual_clock_adds_up_exactly(clock: VirtualClock) -> None:
    start = clock.now()

    for _ in range(10_000):
        clock.sleep(0.001)
    clock.sleep(0)
    clock.sleep(-1)

    assert clock.now() == start + 10_000
    assert clock.monotonic() == 10.0


def test_a_step_of_the_wall_clock_leaves_the_other_alone(clock: VirtualClock) -> None:
    start, before = clock.now(), clock.monotonic()

    clock.step(-3_600)

    assert clock.now() == start - 3_600_000
    assert clock.monotonic() == before


def test_the_system_clock_runs() -> None:
    clock: Clock = SystemClock()
    now, before = clock.now(), clock.monotonic()

    clock.sleep(0.002)
    clock.sleep(-1)

    assert clock.monotonic() - before >= 0.002
    assert clock.now() > now
