"""Whole worker processes on a real Kafka: killed, frozen, restarted one after another."""

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.faults.kafka_kit import PATIENCE, Child, KafkaWorld, wait_until
from tests.faults.kit import PROCESSES, SOAK, check, feed, is_done, soak

TAKEOVER = 6.0 + 5.0
"""Seconds: the session of one that died, and what a takeover may need after it."""

TRANSACTION_SECONDS = 400
"""Until the broker ends a transaction: nobody may have to wait for that."""

LIMIT = TAKEOVER + 10 if SOAK else PATIENCE
"""Among other tests the machine may be slow: there it shows only who waits for the broker."""


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[KafkaWorld]:
    options = {"transaction_timeout_ms": TRANSACTION_SECONDS * 1000}
    made = KafkaWorld(kafka.bootstrap_servers, tmp_path, options=options, max_batch_records=5)
    yield made
    made.close()


def finish(world: KafkaWorld, last: int) -> None:
    """Waits for the children; a worker of this process then restores all, for the last check."""
    wait_until(lambda: is_done(world, last), lambda: time.sleep(0.3))
    for each in world.children:
        each.send(signal.SIGTERM)
    for each in world.children:
        each.process.wait(PATIENCE)
    world.start(INSTANCES, "judge")
    world.settle(lambda: len(world.workers["judge"].stage.partitions) == 2)  # type: ignore[attr-defined]
    check(world, last)


def test_f2_k_a_frozen_owner_wakes_up_after_another_took_over(world: KafkaWorld) -> None:
    """It stands still with its positions sent, in front of the commit."""
    world.child(ROUTER, "router-0")
    frozen = world.child(INSTANCES, "w-0", stop_at=["commit", 2])
    feed(world, 0, 10)
    wait_until((world.directory / "w-0.stopped").exists)
    world.child(INSTANCES, "w-1")
    wait_until(lambda: is_done(world, 10), lambda: time.sleep(0.3))
    frozen.send(signal.SIGCONT)
    feed(world, 10, 12)
    wait_until(lambda: is_done(world, 12), lambda: time.sleep(0.3))
    assert frozen.process.poll() is None
    world.children[-1].kill()  # the other one: all is the first one's again, by itself
    feed(world, 12, 14)
    finish(world, 14)


def kill_often(world: KafkaWorld, roles: list[tuple[str, str]], kills: int, seed: int) -> None:
    """SIGKILLs at random moments, each followed by a new start, while events come in."""
    dice, last = random.Random(seed), 0
    workers = {name: world.child(role, name) for role, name in roles}
    for _ in range(kills):
        feed(world, last, last + 5)
        last += 5
        time.sleep(dice.uniform(0.5, 2.0))
        role, name = dice.choice(roles)
        workers[name].kill()
        world.children.remove(workers[name])
        workers[name] = world.child(role, name)
    finish(world, last)


ALL = [(ROUTER, "router-0"), (INSTANCES, "w-0"), (INSTANCES, "w-1")]


def test_f11_k_a_killed_worker_opens_its_store_again(world: KafkaWorld) -> None:
    world.child(ROUTER, "router-0")
    kill_often(world, [(INSTANCES, "w-0")], 3, seed=11)


def test_f21_k_kills_at_random_points(world: KafkaWorld) -> None:
    kill_often(world, ALL, 6, seed=21)


def restart_in_turn(world: KafkaWorld, rounds: int) -> None:
    """Each of three workers is told to end, and started again, while events come in."""
    world.child(ROUTER, "router-0")
    names, last = ["w-0", "w-1", "w-2"], 0
    workers = {name: world.child(INSTANCES, name) for name in names}
    for name in names * rounds:
        feed(world, last, last + 5)
        last += 5
        time.sleep(1)
        workers[name].send(signal.SIGTERM)
        code = workers[name].process.wait(PATIENCE)
        # -SIGTERM: it had not come so far as to listen.
        assert code in (0, -signal.SIGTERM), workers[name].said()
        world.children.remove(workers[name])
        workers[name] = world.child(INSTANCES, name)
    finish(world, last)


def test_f16_k_a_rolling_restart_of_three_workers_under_load(world: KafkaWorld) -> None:
    restart_in_turn(world, 1)


class TestLong:
    """Takes many minutes."""

    pytestmark = soak

    def test_f11_k_a_worker_killed_a_hundred_times(self, world: KafkaWorld) -> None:
        world.child(ROUTER, "router-0")
        kill_often(world, [(INSTANCES, "w-0")], 100, seed=11)

    def test_f16_k_ten_rolling_restarts(self, world: KafkaWorld) -> None:
        restart_in_turn(world, 10)

    def test_f21_k_two_hundred_kills_at_random_points(self, world: KafkaWorld) -> None:
        kill_often(world, ALL, 200, seed=21)


def until_dead(child: Child) -> None:
    wait_until(lambda: child.process.poll() is not None)
    assert child.process.returncode == -signal.SIGKILL, child.said()


def seconds_until(world: KafkaWorld, last: int) -> float:
    return wait_until(lambda: is_done(world, last), lambda: time.sleep(0.1))


def test_f20_k_killed_right_after_send_offsets(world: KafkaWorld) -> None:
    """The next owner waits for the session and the takeover, not for the transaction's timeout."""
    world.child(ROUTER, "router-0")
    dead = world.child(INSTANCES, "w-0", die_at=["commit", 2])
    feed(world, 0, 10)
    until_dead(dead)
    world.child(INSTANCES, "w-1")
    assert seconds_until(world, 10) <= LIMIT
    finish(world, 10)


@pytest.mark.parametrize("role", [ROUTER, INSTANCES])
def test_f44_k_killed_in_the_flush_before_send_offsets(world: KafkaWorld, role: str) -> None:
    """Nothing but its records tells whose they are; nobody of its name ever comes back."""
    other = INSTANCES if role == ROUTER else ROUTER
    world.child(other, "lives")
    for each in PROCESSES:
        world.count(each, [0])
    first = world.child(role, "dies")
    wait_until(lambda: is_done(world, 1), lambda: time.sleep(0.1))
    first.kill()
    dead = world.child(role, "dies", die_at=["offsets", 1])
    feed(world, 1, 5)
    until_dead(dead)
    world.child(role, "next")
    feed(world, 5, 6)
    assert seconds_until(world, 6) <= LIMIT
    finish(world, 6)
