"""Operators' orders on a real Kafka, beside events and over a change of owners."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.orders import OrderOutcome
from pmstream.runtime.roles import INSTANCES
from tests.runtime.world import Happened, World, make_app

pytestmark = pytest.mark.kafka
PATIENCE = 90.0
RATE, MOST = 1_000, 60_000


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[World]:
    log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6_000)
    made = World(log, tmp_path, SystemClock(), 2, make_app(f"ordered{time.time_ns()}"))
    made.start_all()
    yield made
    made.close()


def until(world: World, is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < deadline, f"not done: {world.told[-5:]}"
        world.turn(20)


def give(world: World, verb: Verb, **arguments: object) -> None:
    made = orders.make(verb, ["a"], arguments, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)


def audit(world: World) -> list[OrderOutcome]:
    return orders.audit(world.log, world.names, "a")


def test_an_edit_beside_a_thousand_events_a_second_loses_neither(world: World) -> None:
    """Half of them concern the very instance that is edited."""
    world.produce(*(Happened("a,b", "go", n) for n in range(10)))
    until(world, lambda: len(world.counts("a")) == 10)

    sent, enough = [*range(10)], threading.Event()

    def load() -> None:
        log = KafkaLog(world.log._fixed["bootstrap.servers"])  # type: ignore[attr-defined]
        writer, began = log.writer(), time.monotonic()
        while not enough.is_set() and len(sent) < MOST:
            n = len(sent)
            value = world.codec.encode_event(world.source, Happened("ab"[n % 2], "go", n))
            writer.produce(world.source, value, b"k", (), partition=0)
            sent.append(n)
            time.sleep(max(0.0, began + n / RATE - time.monotonic()))
        writer.flush(10)

    def count() -> int:
        return len(world.counts("a"))

    loader = threading.Thread(target=load)
    loader.start()
    until(world, lambda: count() >= RATE // 2)
    give(world, Verb.EDIT, set={"count": 1_000_000})
    until(world, lambda: bool(audit(world)))
    edited = count()
    until(world, lambda: count() >= edited + RATE // 2)
    enough.set()
    loader.join()
    expected = [*range(10), *(n for n in sent[10:] if n % 2 == 0)]
    until(world, lambda: count() == len(expected))

    [told] = audit(world)
    assert told.accepted
    assert told.before is not None
    edited_at = told.before.state["count"]
    assert 10 <= edited_at < len(expected)
    assert [n for n, _ in world.counts("a")] == expected
    counts = [count for _, count in world.counts("a")]
    left = len(expected) - edited_at
    assert counts == [*range(1, edited_at + 1), *range(1_000_001, 1_000_001 + left)]


def test_orders_go_on_with_the_next_owner_and_are_obeyed_once(world: World) -> None:
    world.count("a", [1])
    world.count("a", [2], what="park")
    world.count("a", [3])
    until(world, lambda: world.counts("a") == [(1, 1)])
    orders.give_all(world.log, world.names, Verb.PAUSE, "ops", "an incident", 0)
    until(world, lambda: len(orders.audit(world.log, world.names)) == 2)
    world.workers.pop("w-0").close()
    give(world, Verb.EDIT, set={"count": 100})
    world.manager.healed = True
    give(world, Verb.RELEASE)

    world.start(INSTANCES, "w-1")  # with an empty disk
    until(world, lambda: len(audit(world)) == 2)
    world.workers.pop("w-1").close()
    world.start(INSTANCES, "w-2")
    orders.give_all(world.log, world.names, Verb.RESUME, "ops", "it is over", 0)
    until(world, lambda: len(world.counts("a")) == 3)

    assert [each.accepted for each in audit(world)] == [True, True]
    assert world.counts("a") == [(1, 1), (2, 101), (3, 102)]
