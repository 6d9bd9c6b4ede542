"""An owner that stands still while others go on, in memory: nothing of it becomes visible."""

import pytest

from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import check, feed, is_done, stage_of
from tests.runtime.world import World


def test_f2_m_a_session_that_ends_between_handling_and_the_first_commit(
    fresh: World, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No commit record names it yet, so no takeover fences it: only its membership does."""
    world, worker, frozen = fresh, fresh.workers["w-0"], [False]
    process = stage_of(world).process

    def stands_still(now: int, room: int) -> None:
        process(now, room)
        if worker._staged_since is not None and not frozen[0]:  # due when it wakes up
            frozen[0] = True
            world.workers.pop("w-0")
            log.lose(world.names.group(INSTANCES), "w-0")
            world.start(INSTANCES, "w-1")
            world.settle(lambda: is_done(world, 2))
            world.workers["w-0"] = worker

    monkeypatch.setattr(worker.stage, "process", stands_still)
    feed(world, 0, 2)
    world.settle(lambda: frozen[0])
    feed(world, 2, 4)
    world.settle(lambda: is_done(world, 4))
    world.settle()
    check(world, 4)
