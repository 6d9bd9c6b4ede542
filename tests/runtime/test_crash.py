"""A crash at every step of a commit: nothing lost or doubled, state equal to the changelog."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.commit import STEPS
from pmstream.runtime.log_errors import Again, Fenced, MustAbort, OutcomeUnknown
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import World


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


def kill_at(step: str, times: int = 3) -> Callable[[str], None]:
    """A probe that kills at the given visit of a step."""
    left = [times]

    def probe(at: str) -> None:
        if at == step:
            left[0] -= 1
            if not left[0]:
                raise Killed(step)

    return probe


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock = VirtualClock()
    made = World(MemoryLog(clock), tmp_path, clock, max_batch_records=4)
    yield made
    made.close()


def expected(last: int) -> list[tuple[int, int]]:
    return [(n, n + 1) for n in range(last)]


def check(world: World) -> None:
    for process in ("a", "b", "c"):
        assert world.counts(process) == expected(20), process
    assert world.stores() == world.changelog()


def produce(world: World) -> None:
    for n in range(20):
        for process in ("a", "b", "c"):
            world.count(process, [n])


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", ["router-0", "w-0"])
@pytest.mark.parametrize("back", ["same name", "other name"])
def test_a_worker_killed_at_any_step_leaves_nothing_wrong(
    world: World, name: str, step: str, back: str
) -> None:
    role = ROUTER if name == "router-0" else INSTANCES
    produce(world)
    world.start_all()
    world.workers.pop(name).close()
    world.start(role, name, kill_at(step))
    with pytest.raises(Killed):
        world.settle(lambda: False)
    world.crash(name)
    world.start(role, name if back == "same name" else name + "-b")
    world.settle(lambda: all(world.counts(each) == expected(20) for each in "abc"))
    world.settle()
    check(world)


# (call, error, whether the call was done and only its answer lost); a commit that was made is
# never answered with MustAbort, nor an abort with anything that would leave it undone.
FAULTS: list[tuple[str, Exception, bool]] = [
    *(
        (call, error(call), after)
        for call in ("flush", "send_offsets")
        for error in (MustAbort, Again, Fenced)
        for after in (False, True)
    ),
    *(
        ("commit", error("commit"), after)
        for error in (Again, OutcomeUnknown)
        for after in (False, True)
    ),
    ("commit", MustAbort("commit"), False),
    ("abort", OutcomeUnknown("abort"), False),
]


@pytest.mark.parametrize(("call", "error", "after"), FAULTS)
@pytest.mark.parametrize("name", ["router-0", "w-0"])
def test_any_answer_of_the_log_leaves_nothing_wrong(
    world: World, name: str, call: str, error: Exception, after: bool
) -> None:
    """F12, F17, F19: also when the call was done and only its answer was lost."""
    produce(world)
    world.start_all()
    world.turn(12)
    who = next(each._id for key, each in world.workers.items() if key == name)
    assert isinstance(world.log, MemoryLog)
    if call == "abort":
        world.log.inject("flush", MustAbort("flush"), who=who)
    injection = world.log.inject(call, error, after=after, who=who)
    world.settle(lambda: all(world.counts(each) == expected(20) for each in "abc"))
    world.settle()
    assert injection.hits == 1
    check(world)
