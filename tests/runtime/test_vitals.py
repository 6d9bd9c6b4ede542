"""What a worker tells of itself: counters, conditions of partitions, and no name without a row."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from pmstream import metrics
from pmstream.core.failure import FailureContext, Stage
from pmstream.core.process import bind
from pmstream.runtime import census
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.failures import Failures
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.vitals import Condition, Values, Vitals
from tests.runtime.world import World, make_app


def counted(vitals: Vitals, name: str) -> dict[str, float]:
    """Those of its values that are not 0."""
    found = vitals.values[name]
    assert isinstance(found, dict)
    return {label: value for label, value in found.items() if value}


def instances(vitals: Vitals) -> dict[str, float]:
    """Instances by condition, all partitions together."""
    found: dict[str, float] = {}
    for part in vitals.parts:
        by_condition = part.values["instances"]
        assert isinstance(by_condition, dict)
        for condition, count in by_condition.items():
            found[condition] = found.get(condition, 0) + count
    return found


def total(vitals: Vitals, name: str) -> float:
    """The values of all partitions together."""
    values = [part.values[name] for part in vitals.parts]
    return sum(each for each in values if not isinstance(each, dict))


def raises(*_: object) -> object:
    raise ZeroDivisionError


def context() -> FailureContext:
    metadata: Any = None
    return FailureContext(
        context={}, state=None, last_event=None, metadata=metadata, stage=Stage.HANDLE
    )


def test_router_and_instances_worker_tell_what_they_did(world: World) -> None:
    world.count("a", range(5))
    world.count("b", [5], what="ignore")
    world.settle()

    router, worker = world.workers["router-0"].vitals(), world.workers["w-0"].vitals()

    assert counted(router, "source_records_total") == {"routed": 5, "ignored": 1}
    assert counted(worker, "inputs_total") == {"handled": 5}
    assert worker.values["inputs_committed_total"] == 5
    assert [each.values["records_sent_total"] for each in (router, worker)] == [5, 5]
    assert [each.joined for each in (router, worker)] == [True, True]


def test_a_worker_that_has_not_joined_says_so(world: World) -> None:
    late = world.start(INSTANCES, "late")

    assert (late.vitals().joined, late.vitals().parts) == (False, [])


def test_conditions_and_backlogs_are_those_of_the_instances(
    world: World, clock: VirtualClock
) -> None:
    world.count("p", [0], what="park")
    world.count("p", [1, 2])
    world.count("r", [3], what="retry")
    world.count("i", [4])
    world.settle(lambda: len(world.changelog()) == 5)
    clock.advance(2)

    vitals = world.workers["w-0"].vitals()

    assert instances(vitals) == {"parked": 1, "retrying": 1, "idle": 1}
    assert total(vitals, "backlog_inputs") == 2
    outcomes = counted(vitals, "inputs_total")
    assert outcomes == {"parked": 1, "queued": 2, "retrying": 1, "handled": 1}
    assert total(vitals, "oldest_failure_seconds") >= 2


def test_failures_are_counted_by_stage_and_answer(world: World) -> None:
    world.count("a", [0], what="park")
    world.count("b", [1], what="skip")
    world.count("c", [2], what="bad route")
    world.settle()

    router, worker = world.workers["router-0"].vitals(), world.workers["w-0"].vitals()

    assert counted(worker, "failures_total") == {"handle Park": 1, "handle Skip": 1}
    assert counted(router, "failures_total") == {"interested Skip": 1}


def test_an_error_that_raises_itself_is_counted_as_that(world: World) -> None:
    callbacks = Failures()
    bound = callbacks.bind(structs.replace(bind(world.manager), error=raises))

    with pytest.raises(ZeroDivisionError):
        bound.error(ValueError(), None, context())

    assert callbacks.counts == {"handle raised": 1}


def test_what_a_partition_has_counted_outlives_it(world: World) -> None:
    world.count("a", range(5))
    world.settle()

    world.start(INSTANCES, "w-1")
    world.settle()
    world.workers["w-0"].stage.dropped_all()

    assert counted(world.workers["w-0"].vitals(), "inputs_total") == {"handled": 5}


def test_partitions_run_and_a_full_backlog_blocks_one(tmp_path: Path, clock: VirtualClock) -> None:
    world = World(MemoryLog(clock), tmp_path, clock, app=make_app(backlog_limit=1))
    world.start_all()
    world.count("p", [0], what="park")
    world.count("p", [1, 2, 3])
    world.settle()

    parts = world.workers["w-0"].vitals().parts

    held = [part for part in parts if part.condition is Condition.BLOCKED]
    running = [part for part in parts if part.condition is Condition.RUNNING]
    assert [part.why for part in held] == ["the backlog of process p is full"]
    assert held[0].values["partition_blocked"] == 1
    assert [part.values["partition_running"] for part in running] == [1, 1]
    world.close()


def test_a_partition_that_restores_tells_how_far_it_is(world: World) -> None:
    world.count("a", range(20))
    world.settle()
    world.crash("w-0")

    other = world.start(INSTANCES, "other")
    seen = []
    for _ in range(300):
        other.turn()
        seen += [(part.condition, part.why) for part in other.vitals().parts]

    assert (Condition.OPENING, "its store is not open yet") in seen
    assert any(condition is Condition.RESTORING for condition, _ in seen)
    assert {part.condition for part in other.vitals().parts} == {Condition.RUNNING}


def names(values: Values) -> set[str]:
    return set(values)


def test_every_name_that_is_told_has_its_row_and_every_row_is_told(world: World) -> None:
    world.count("a", range(3))
    world.settle()
    vitals = [each.vitals() for each in world.workers.values()]

    of_workers = set().union(*(names(each.values) for each in vitals))
    of_partitions = set().union(*(names(part.values) for each in vitals for part in each.parts))

    by_reporter = {"longest_turn_seconds", "poll_headroom_seconds"}
    assert of_workers | by_reporter == {each.name for each in metrics.OF_WORKER}
    assert of_partitions == {each.name for each in metrics.OF_PARTITION}


def test_transactions_are_timed(world: World) -> None:
    world.count("a", range(3))
    world.settle()

    told = world.workers["w-0"].vitals().values

    seconds = told["commit_seconds"]
    assert isinstance(seconds, dict)
    assert sum(seconds.values()) - seconds["sum"] == told["commits_total"]
    assert told["commits_total"] != 0


def ages(vitals: Vitals) -> list[float]:
    found = [part.values["census_age_seconds"] for part in vitals.parts]
    return [each for each in found if isinstance(each, float)]


def test_a_census_that_takes_long_waits_the_longer_for_the_next(
    world: World, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.count("a", range(3))
    world.settle()
    worker = world.workers["w-0"]
    monkeypatch.setattr(census, "PORTION", 1)  # a portion for each look at the clock
    at_ease = clock.monotonic

    def busy() -> float:
        clock.advance(0.01)
        return at_ease()

    monkeypatch.setattr(clock, "monotonic", busy)
    for _ in range(6):
        worker.vitals()
        clock.advance(60)
    first = max(ages(worker.vitals()))
    clock.advance(1)
    again = max(ages(worker.vitals()))

    assert again >= first + 1, "it has rested"
