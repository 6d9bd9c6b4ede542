"""Orders that are none, and orders in batches that are aborted."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Order, Verb
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.desk import FIRST_ORDERS_SECONDS
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import KIND, ORDER
from tests.faults.kit import in_condition
from tests.runtime.ordered import abort_next, give, outcome, parked, write
from tests.runtime.world import World


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock) -> Iterator[World]:
    made = World(MemoryLog(clock), tmp_path, clock)
    yield made
    made.close()


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe",
        b"[]",
        b"{}",
        b'{"id": "1", "verb": "explode", "process_uuid": "a"}',
        b'{"id": "1", "verb": "skip"}',
        b'{"id": "1", "verb": "skip", "process_uuid": "\\u0000"}',
        b'{"id": "1", "verb": "skip", "process_uuid": "a", "arguments": 7}',
        b"[" * 5_000,
    ],
)
def test_what_is_no_order_is_refused_and_harms_nobody(world: World, value: bytes | None) -> None:
    parked(world)

    write(world, value, ((KIND, ORDER),))

    assert outcome(world).refused.startswith("it cannot be read: ")
    assert in_condition(world, "a") is Condition.PARKED


def test_texts_that_are_too_long_are_refused(world: World) -> None:
    parked(world)
    order = Order(id="1", verb=Verb.SKIP, process_uuid="a", who="x" * 3_000)
    number = murmur2_partition(b"a", world.partitions)

    write(world, msgspec.json.encode(order), ((KIND, ORDER),), number)

    assert outcome(world).refused == "id, who and why may have 2000 characters each"


def test_an_order_of_an_aborted_batch_is_obeyed_by_the_next_one(world: World) -> None:
    parked(world)
    world.manager.healed = True
    injected = abort_next(world)
    give(world, Verb.RELEASE)

    assert outcome(world).accepted
    assert injected.hits == 1
    assert world.counts("a") == [(1, 1), (2, 2)]


def test_a_pause_of_an_aborted_batch_is_no_pause_yet(world: World) -> None:
    parked(world)
    injected = abort_next(world)
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "an incident", 0)

    outcome(world, world.partitions)

    assert injected.hits == 1
    told = orders.audit(world.log, world.names)
    assert [each.refused for each in told] == [""] * world.partitions


def test_orders_that_cannot_be_read_let_events_wait_for_five_seconds_at_most(
    world: World, clock: VirtualClock
) -> None:
    """Somebody left a transaction open in the orders topic; nothing piles up meanwhile."""
    stuck = world.log.producer("stuck")
    stuck.begin()
    for number in range(world.partitions):
        stuck.produce(world.names.orders, b"{}", None, (), number)
    stuck.flush(1)
    world.start_all()
    world.count("a", range(20))
    since = clock.monotonic()

    world.settle(lambda: bool(world.told) and world.told[-1][0] == "paused")
    world.settle(lambda: bool(world.commands()))

    assert 1 < clock.monotonic() - since < FIRST_ORDERS_SECONDS + 1
    world.settle()
    assert world.counts("a") == [(n, n + 1) for n in range(20)]
