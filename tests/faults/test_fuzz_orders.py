"""Hostile orders: anybody who may write there writes anything, and each has its outcome."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Headers
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.orders import KIND, MAX_ORDER_BYTES, ORDER, OUTCOME
from tests.faults.kit import expected
from tests.runtime.ordered import outcome, parked, write
from tests.runtime.world import World

RECORDS, PER_ROUND = 3_000, 50
MARK: Headers = ((KIND, ORDER),)


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """Process a is parked."""
    made = World(log, tmp_path, clock)
    parked(made)
    yield made
    made.close()


def order(verb: object = "skip", **fields: object) -> bytes:
    """An order as bytes; fields win."""
    return msgspec.json.encode({"id": "1", "verb": verb, "process_uuid": "a", **fields})


def nested(depth: int, opening: bytes, closing: bytes) -> bytes:
    inner = opening * depth + b"1" + closing * depth
    return order("edit", arguments={"set": {"count": "HERE"}}).replace(b'"HERE"', inner)


def mine(world: World) -> int:
    """The partition of process a."""
    return murmur2_partition(b"a", world.partitions)


def goes_on(world: World) -> None:
    """A neighbour's event is handled, by the same worker."""
    world.count("b", [0])
    world.settle(lambda: world.counts("b") == [(0, 1)])


@pytest.mark.parametrize("depth", [50, 101, 500, 900, 930, 960, 990, 5_000])
@pytest.mark.parametrize("shape", [(b"[", b"]"), (b'{"x":', b"}")])
def test_an_order_that_is_nested_deeply_is_refused(
    world: World, depth: int, shape: tuple[bytes, bytes]
) -> None:
    write(world, nested(depth, *shape), MARK, mine(world))

    assert not outcome(world).accepted
    goes_on(world)


@pytest.mark.parametrize("verb", [*Verb])
@pytest.mark.parametrize(
    "arguments",
    [
        {"set": {"count": 2**63}},
        {"set": {"count": -(2**80)}},
        {"set": {"count": 1.5}},
        {"set": {"": None}},
        {"set": [1]},
        {"set": {"count": [[[[]]]]}, "expect": 7},
        {"set": {"count": 1}, "expect": {"count": {"count": 1}}},
        {"name": None},
        {"name": "x" * 100_000},
        {"event": None},
        {"event": {"route": "start"}},
        {"event": {"process_uuid": "a", "route": "no", "value": "!!", "headers": [["x"]]}},
        {},
    ],
)
def test_arguments_of_any_kind_have_an_outcome(
    world: World, verb: Verb, arguments: dict[str, Any]
) -> None:
    write(world, order(verb, arguments=arguments), MARK, mine(world))

    outcome(world)

    if verb is Verb.PAUSE:
        write(world, order(Verb.RESUME), MARK, mine(world))
    goes_on(world)


@pytest.mark.parametrize("size", [MAX_ORDER_BYTES + 1, 1_000_000, 1_048_300])
def test_an_order_whose_outcome_would_not_fit_is_refused(world: World, size: int) -> None:
    empty = order(arguments={"set": {"count": ""}})
    write(
        world,
        order(arguments={"set": {"count": "x" * (size - len(empty))}}),
        MARK,
        mine(world),
    )

    assert f"{MAX_ORDER_BYTES}" in outcome(world).refused
    goes_on(world)


def test_the_largest_order_is_told(world: World) -> None:
    empty = order("edit", arguments={"set": {"count": ""}})
    value = order("edit", arguments={"set": {"count": "x" * (MAX_ORDER_BYTES - len(empty))}})
    write(world, value, MARK, mine(world))

    found = outcome(world)

    assert found.refused.startswith("field count of Count: ")
    assert found.order.arguments["set"]["count"].startswith("xxx")


def test_headers_of_any_kind_do_no_harm(world: World) -> None:
    """What says that it is an outcome is none of ours to obey; of several marks one is enough."""
    for headers in (
        ((KIND, ORDER), (KIND, ORDER)),
        ((KIND, ORDER), (KIND, b"\xff")),
        ((KIND, None),),
        (("x" * 10_000, b"y" * 10_000),) * 20,
    ):
        write(world, order(), headers, mine(world))
    write(world, order(), ((KIND, ORDER), (KIND, OUTCOME)), mine(world))

    outcome(world, 4)
    goes_on(world)


SEEDS: list[Callable[[random.Random], object]] = [
    lambda dice: dice.randrange(-(2**70), 2**70),
    lambda dice: dice.random() * 10.0 ** dice.randrange(-300, 300),
    lambda dice: "".join(map(chr, dice.choices(range(1, 0xD7FF), k=dice.randrange(9)))),
    lambda _dice: None,
    lambda dice: [dice.random()] * dice.randrange(4),
    lambda dice: {"set": {"count": dice.randrange(9)}},
    lambda dice: dice.choice([*Verb]),
    lambda _dice: "a",
]


def hostile(dice: random.Random) -> bytes | None:
    """A good order with fields of any kind, some of its bytes damaged."""
    names = ["id", "verb", "process_uuid", "arguments", "who", "why", "time", "more"]
    fields = {"verb": dice.choice([*Verb])}
    fields |= {dice.choice(names): dice.choice(SEEDS)(dice) for _ in range(dice.randrange(4))}
    value = bytearray(order(**fields))
    for _ in range(dice.choice([0, 0, 0, 1, 3])):
        value[dice.randrange(len(value))] = dice.randrange(256)
    return dice.choice([None, b"", bytes(value[:-1])]) if dice.random() < 0.1 else bytes(value)


def test_f43_m_thousands_of_damaged_orders(world: World) -> None:
    """Each has one outcome; events of others go on, none is lost or doubled."""
    dice, kept = random.Random(49), []
    for n in range(RECORDS // PER_ROUND):
        for _ in range(PER_ROUND):
            write(world, hostile(dice), dice.choice([MARK, MARK, ()]), dice.randrange(3))
        for number in range(world.partitions):
            write(world, order(Verb.RESUME), MARK, number)
        world.count("b", [n])
        world.turn()
        kept.append(n)
    world.settle(lambda: world.counts("b") == expected(len(kept)))
    world.settle()
    written = RECORDS + len(kept) * world.partitions

    assert len({(each.order.id, each.offset) for each in orders.audit(world.log, world.names)}) > 9
    assert len(orders.audit(world.log, world.names)) >= written
    assert world.stores() == world.changelog()
