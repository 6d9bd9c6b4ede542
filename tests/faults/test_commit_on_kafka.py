"""Commits on a real Kafka: lost answers, timeouts, slow handlers, a coordinator that is away."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pmstream.devkafka import Cluster
from pmstream.errors import Stopped
from pmstream.runtime.log_errors import MustAbort, OutcomeUnknown, Unavailable
from pmstream.runtime.roles import INSTANCES, ROUTER
from pmstream.runtime.worker import Worker
from tests.faults.kafka_kit import KafkaWorld
from tests.faults.kit import PROCESSES, SOAK, feed, partitions_of, places, soak, stage_of
from tests.runtime.world import Happened

Make = Callable[..., KafkaWorld]


@pytest.fixture
def make(kafka: Cluster, tmp_path: Path) -> Iterator[Make]:
    """Makes a world; ten events a process are waiting, batches are small."""
    made: list[KafkaWorld] = []

    def new(**given: Any) -> KafkaWorld:
        world = KafkaWorld(kafka.bootstrap_servers, tmp_path, **{"max_batch_records": 5, **given})
        made.append(world)
        feed(world, 0, 10)
        return world

    yield new
    for each in made:
        each.close()


def once(worker: Worker, call: str, error: Exception, *, done: bool) -> None:
    """Lets one call of the producer fail, before or after Kafka has done it."""
    original = getattr(worker._producer, call)

    def failing(*arguments: Any) -> None:
        setattr(worker._producer, call, original)
        if done:
            original(*arguments)
        raise error

    setattr(worker._producer, call, failing)


@pytest.mark.parametrize("done", [False, True], ids=["not done", "done"])
@pytest.mark.parametrize("name", ["router-0", "w-0"])
def test_f12_k_the_commits_answer_is_lost(make: Make, name: str, done: bool) -> None:
    world = make()
    world.start_all()
    worker = world.workers[name]
    once(worker, "commit", OutcomeUnknown("the answer is lost"), done=done)
    world.finish(10)
    assert worker.report.rebuilds == 1


def test_f15_k_a_handler_longer_than_max_poll_interval(make: Make) -> None:
    """What it did counts for nothing, its member rejoins by itself, and it is done again."""
    world = make(options={"max_poll_interval_ms": 6_000})
    handle, naps = world.manager.handle, [8.0]

    def slow(state: Any, event: Happened, metadata: Any) -> Any:
        if event.n == 5 and naps:
            time.sleep(naps.pop())
        return handle(state, event, metadata)

    world.manager.handle = slow  # type: ignore[method-assign]
    world.start(ROUTER, "router-0")
    world.settle(lambda: len(world.read(world.names.inbox)) == 10 * len(PROCESSES))
    world.workers.pop("router-0").close()
    worker = world.start(INSTANCES, "w-0")
    world.finish(10)
    assert naps == []
    assert [what for what, _, _ in world.told if what == "dropped"]
    assert worker.report.rebuilds == 0


def test_f17_k_a_transaction_that_is_too_old_is_aborted_and_done_again(make: Make) -> None:
    world = make(options={"transaction_timeout_ms": 6_000})
    naps = [10.0]

    def probe(step: str) -> None:
        if step == "offsets" and naps:
            time.sleep(naps.pop())

    world.start(ROUTER, "router-0")
    worker = world.start(INSTANCES, "w-0", probe)
    world.finish(10)
    assert worker.report.rebuilds + worker.report.aborts > 0


def away(kafka: Cluster, seconds: float) -> threading.Timer:
    """The only broker stands still for a while."""
    kafka.pause(1)
    timer = threading.Timer(seconds, kafka.resume, [1])
    timer.start()
    return timer


@pytest.mark.parametrize("step", ["offsets", "commit"])
def test_f18_k_the_coordinator_is_away_in_mid_commit(make: Make, kafka: Cluster, step: str) -> None:
    world, visits = make(), [0]
    timers: list[threading.Thread] = []

    def probe(at: str) -> None:
        visits[0] += at == step
        if visits[0] == 2 and not timers:
            timers.append(away(kafka, 30 if SOAK else 4))

    world.start(ROUTER, "router-0")
    world.start(INSTANCES, "w-0", probe)
    finish_with_restarts(world)
    timers[0].join()


def finish_with_restarts(world: KafkaWorld) -> None:
    """As a supervisor does: a member that the broker took for two is started anew.

    Away for longer than a session, or killed and back, a coordinator may answer the first of two
    requests to join late.
    """
    while True:
        try:
            return world.finish(10)
        except Stopped as error:
            if "Static consumer fenced" not in str(error):
                raise
            name = str(error).split()[1]
            world.crash(name)
            started_again(world, name)


def started_again(world: KafkaWorld, name: str) -> None:
    """The broker may still be away."""
    for _ in range(10):
        with suppress(Unavailable):
            world.start(ROUTER if name.startswith("router") else INSTANCES, name)
            return
    pytest.fail(f"{name} could not be started again")


class TestLong:
    """Takes minutes, or ends the broker that others use."""

    pytestmark = soak

    def test_f18_k_a_broker_killed_in_mid_commit(self, make: Make, kafka: Cluster) -> None:
        world = make()
        killed: list[threading.Thread] = []

        def probe(step: str) -> None:
            if step == "commit" and not killed:
                killed.append(threading.Thread(target=kafka.start_broker, args=[1]))
                kafka.kill(1)
                killed[0].start()

        world.start(ROUTER, "router-0")
        world.start(INSTANCES, "w-0", probe)
        world.settle(lambda: bool(killed))
        killed[0].join()
        finish_with_restarts(world)


def positions(world: KafkaWorld) -> list[int]:
    inbox = places(world, world.names.inbox)
    known = world.log.last_committed(world.names.group(INSTANCES), inbox)
    return [known[each].position if each in known else 0 for each in inbox]


def starts(world: KafkaWorld) -> list[int]:
    return [world.log.start(each) or 0 for each in places(world, world.names.inbox)]


def purging(world: KafkaWorld, seen: list[tuple[list[int], list[int]]]) -> Callable[[str], None]:
    """A probe that purges at every step, with a retention that is over at once."""

    def probe(_step: str) -> None:
        for part in partitions_of(world):
            stage_of(world)._purge.partition(part.source, part.position)
        seen.append((starts(world), positions(world)))

    return probe


def test_f22_k_an_aborted_batch_is_not_purged(make: Make) -> None:
    world = make(inbox_retention_hours=1e-7)
    seen: list[tuple[list[int], list[int]]] = []
    world.start(ROUTER, "router-0")
    worker = world.start(INSTANCES, "w-0", purging(world, seen))
    once(worker, "commit", MustAbort("refused"), done=False)
    world.finish(10)
    assert worker.report.aborts == 1
    assert any(any(low) for low, _ in seen)
    assert all(low <= at for lows, ats in seen for low, at in zip(lows, ats, strict=True))


def test_f50_k_stopped_for_longer_than_the_retention(make: Make) -> None:
    world = make(inbox_retention_hours=1e-7)
    world.start(ROUTER, "router-0")
    world.settle(lambda: len(world.read(world.names.inbox)) == 10 * len(PROCESSES))
    seen: list[tuple[list[int], list[int]]] = []
    world.start(INSTANCES, "w-0", purging(world, seen))
    world.finish(10)
    assert all(low <= at for lows, ats in seen for low, at in zip(lows, ats, strict=True))
