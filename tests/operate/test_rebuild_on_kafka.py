"""On a real Kafka: byte for byte, killed in the middle, no late worker, and events count once."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.core.lifecycle import Condition, condition
from pmstream.core.orders import Verb
from pmstream.devkafka import Cluster
from pmstream.errors import Busy
from pmstream.operate import generations, orders, rebuild
from pmstream.operate.stand import stands
from pmstream.runtime.generations import live, read_state
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.faults.kit import soak
from tests.operate.rebuilding import PM, job, rebuilt, timeless
from tests.operate.varied import VariedWorld
from tests.runtime.world import Happened

FEW, MANY = 3_000, 100_000


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[VariedWorld]:
    made = VariedWorld(kafka.bootstrap_servers, tmp_path, 4)
    yield made
    made.close()


def lived(world: VariedWorld, processes: int, seconds: float) -> VariedWorld:
    """So many processes have lived, some were edited or skipped; nobody runs any more."""
    world.live_through(processes)
    world.start_all()
    world.work_off(seconds)
    parked = [f"p-{number}" for number in range(6, processes, 200)]
    given = orders.make(Verb.SKIP, parked, {}, "ops", "a test", world.clock.now())
    edited = [f"p-{number}" for number in range(50, processes, 1_000)]
    given += orders.make(Verb.EDIT, edited, {"set": {"count": 77}}, "ops", "", world.clock.now())
    orders.give(world.log, world.names, given)
    world.work_off(seconds)
    world.close()
    gone(world)
    return world


def gone(world: VariedWorld) -> None:
    """Until the sessions of static members have ended."""
    names = live(world.log, world.app_name, PM)
    until = time.monotonic() + 60
    while any(world.log.members(names.group(role)) for role in (ROUTER, INSTANCES)):
        assert time.monotonic() < until
        time.sleep(0.2)


def conditions(world: VariedWorld) -> dict[Condition, int]:

    found: dict[Condition, int] = {}
    for stand in stands(world.log, world.names):
        for _, instance in stand.instances():
            at = condition(instance)
            found[at] = found.get(at, 0) + 1
    return found


def check_byte_for_byte(world: VariedWorld, processes: int, seconds: float) -> None:
    lived(world, processes, seconds)
    before, stood, sent = world.changelog(), conditions(world), len(world.read(world.target))
    letters = len(world.read(world.names.dead_letters))
    assert stood[Condition.PARKED] == processes // 200
    assert letters == processes // 5_000
    plan = rebuild.plan(world.log, job(world))
    assert plan.faults == ()

    began = time.monotonic()
    found = rebuilt(world)
    took = time.monotonic() - began

    assert found.is_live, found.lost[:5]
    assert (found.differing, found.instances) == (0, processes - processes // 100)
    after = world.changelog()
    assert timeless(after) == timeless(before)
    assert sum(after[key] == before[key] for key in before) > 0.97 * len(before)
    assert len(world.read(world.target)) == sent
    assert len(world.read(world.names.dead_letters)) == letters
    told = f"{processes} processes, {plan.events} events, rebuilt in {took:.1f} s; {stood}\n"
    sys.stdout.write(told)  # `pytest -s` shows it

    world.produce(*(Happened(process=f"p-{n}", what="go", n=9) for n in range(50, 60)))
    world.start_all()
    world.work_off(60)
    again = [each.count for each in world.commands() if each.n == 9]
    assert sorted(again) == [3] * 9 + [78]
    assert len(world.read(world.target)) == sent + 10


def test_a_rebuild_is_the_live_state_byte_for_byte(world: VariedWorld) -> None:
    check_byte_for_byte(world, FEW, 100)


@pytest.mark.parametrize("processes", [pytest.param(MANY, marks=soak)])
def test_a_rebuild_of_many_is_the_live_state_byte_for_byte(
    world: VariedWorld, processes: int
) -> None:
    check_byte_for_byte(world, processes, 900)


def test_a_rebuild_that_is_killed_again_and_again_is_complete(world: VariedWorld) -> None:
    lived(world, FEW, 100)
    before, sent = world.changelog(), len(world.read(world.target))
    # Killed as it routes, and twice as it works off.
    for at in (2_000, 8_000, 11_000):
        process = world.rebuilder()
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip().isdecimal() and int(line) >= at:
                break
        process.kill()
        process.wait()
        process.stdout.close()
    with pytest.raises(Busy, match="a rebuild makes generation 2"):
        world.start(INSTANCES, "w-0")

    process = world.rebuilder()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    world.names = live(world.log, world.app_name, PM)
    assert world.names.generation == 2
    assert timeless(world.changelog()) == timeless(before)
    assert len(world.read(world.target)) == sent


def test_a_late_worker_of_the_old_generation_does_nothing(world: VariedWorld) -> None:
    lived(world, 100, 60)
    rebuilt(world)
    writer = world.log.writer()  # now a worker does not find out which generation is live
    writer.produce(world.names.generations, None, b"state", (), 0)
    writer.flush(10)
    for role in (ROUTER, INSTANCES):
        world.start(role, f"late-{role}")
        with pytest.raises(Busy, match="this generation is closed, generation 2 runs instead"):
            world.settle(lambda: False)
        world.workers.pop(f"late-{role}").close()


def test_the_way_back_is_where_the_old_generation_stood(world: VariedWorld) -> None:
    lived(world, 100, 60)
    before = world.changelog()
    rebuilt(world)
    back = generations.begin_roll_back(world.log, world.app, PM, world.clock)
    generations.roll_back(world.log, back, world.clock)
    world.names = back.new
    assert read_state(world.log, world.app_name, PM).generation == 1
    assert world.changelog() == before
    world.produce(Happened(process="p-50", what="go", n=9))
    world.start_all()
    world.work_off(60)
    assert [each.count for each in world.commands() if each.n == 9] == [78]
