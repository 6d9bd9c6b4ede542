"""Waiting on a real Kafka, where markers take offsets and are written after the positions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster
from pmstream.operate.wait import Handled, Verdict, handled
from pmstream.runtime.clock import SystemClock
from tests.faults.kafka_kit import KafkaWorld
from tests.faults.kit import expected

PATIENCE = 60.0


class Meanwhile(SystemClock):
    """The waiter's clock: while it sleeps, the workers turn."""

    def __init__(self, world: KafkaWorld) -> None:
        self.world = world

    def sleep(self, seconds: float) -> None:
        self.world.turn()


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[KafkaWorld]:
    made = KafkaWorld(kafka.bootstrap_servers, tmp_path)
    made.start_all()
    yield made
    made.close()


def wait(world: KafkaWorld, event: int, timeout: float, *, explain: bool = False) -> Handled:
    name, clock = f"{world.source}-0-{event}", Meanwhile(world)
    [found] = handled(
        world.log, world.app, name, ["counter"], timeout, explain=explain, clock=clock
    )
    return found


def test_events_are_handled_and_the_commands_are_there(world: KafkaWorld) -> None:
    for number in range(3):
        world.count("a", [number])

        found = wait(world, number, PATIENCE)

        assert found == Handled("counter", Verdict.HANDLED)
    world.settle(lambda: world.counts("a") == expected(3))
    assert wait(world, 2, 0).verdict is Verdict.HANDLED


def test_a_parked_event_is_deferred_when_explained(world: KafkaWorld) -> None:
    world.count("a", [0], what="park")

    found = wait(world, 0, PATIENCE, explain=True)

    assert found.verdict is Verdict.DEFERRED
    assert [(each.uuid, each.how, each.error) for each in found.deferred] == [
        ("a", "parked", "Oops: park")
    ]
    assert wait(world, 1, 0).verdict is Verdict.TIMEOUT
