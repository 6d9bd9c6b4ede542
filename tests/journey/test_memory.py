"""The demo's journey in memory: every transfer once, whoever dies on the way."""

from pathlib import Path

import pytest

from pmstream.cli.demo_cast import CAREFUL
from pmstream.runtime.commit import STEPS
from tests.journey.world import World

COUNT = 200


def test_every_transfer_is_done_once(tmp_path: Path) -> None:
    verdict = World(tmp_path, COUNT).run()

    assert verdict.faults == []
    assert (verdict.completed, verdict.commands) == (COUNT, 2 * COUNT)


@pytest.mark.parametrize("step", ["begin", "commit", "acknowledged"])
def test_a_confirmed_transfer_is_done_or_undone_once_although_a_worker_dies(
    step: str, tmp_path: Path
) -> None:
    world = World(tmp_path, COUNT, CAREFUL)
    world.crash_at("instances-0", step, commits=3)

    verdict = world.run()

    assert world.crashed == ["instances-0"]
    assert verdict.faults == []
    assert verdict.completed == COUNT
    assert 0 < verdict.refused < COUNT / 2
    assert verdict.commands > 2 * COUNT, "some were undone"


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
