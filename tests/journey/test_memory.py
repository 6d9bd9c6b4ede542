"""The demo's journey in memory: every transfer once, whoever dies on the way."""

from pathlib import Path

import pytest

from pmstream.runtime.commit import STEPS
from tests.journey.world import World

COUNT = 200


def test_every_transfer_is_done_once(tmp_path: Path) -> None:
    verdict = World(tmp_path, COUNT).run()

    assert verdict.faults == []
    assert (verdict.completed, verdict.commands) == (COUNT, 2 * COUNT)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("worker", ["router-0", "instances-0"])
def test_every_transfer_is_done_once_although_a_worker_dies(
    worker: str, step: str, tmp_path: Path
) -> None:
    world = World(tmp_path, COUNT)
    world.crash_at(worker, step, commits=3)

    verdict = world.run()

    assert world.crashed == [worker]
    assert verdict.faults == []
    assert (verdict.completed, verdict.commands) == (COUNT, 2 * COUNT)
