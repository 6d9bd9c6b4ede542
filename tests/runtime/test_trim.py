"""What a restore has freed leaves the process once it is done, where the C library can do that."""

import pytest

from pmstream.runtime import instances, restores, trim
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.roles import INSTANCES
from tests.runtime.world import World


def test_memory_that_was_freed_can_be_given_back_more_than_once() -> None:
    blocks = [bytearray(100_000) for _ in range(100)]
    del blocks

    assert trim.trim() in {True, False}
    assert trim.trim() in {True, False}


def test_a_c_library_without_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trim, "_malloc_trim", None)

    assert trim.trim() is False


def test_a_worker_gives_back_once_after_it_has_read_and_never_when_it_read_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    monkeypatch.setattr(restores, "trim", lambda: calls.append("trim"))
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    for n in range(10):
        world.count("a", [n])
    world.settle()
    assert calls == []

    world.crash("w-0")
    world.start(INSTANCES, "elsewhere")
    world.settle()

    assert calls == ["trim"]


@pytest.fixture
def trims(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a worker that runs has given back so far."""
    calls: list[str] = []
    monkeypatch.setattr(instances, "trim", lambda: calls.append("trim"))
    return calls


def test_a_worker_that_works_gives_back_now_and_then_and_one_that_rests_does_not(
    trims: list[str], world: World, clock: VirtualClock
) -> None:
    for minute in range(3):
        world.count("a", [2 * minute, 2 * minute + 1])
        world.settle()
        clock.sleep(instances.TRIM_SECONDS + 1)
        world.turn(2)
        assert len(trims) == minute + 1

    clock.sleep(3 * instances.TRIM_SECONDS)
    world.turn(2)

    assert len(trims) == 3


def test_what_merging_took_behind_a_restore_is_given_back_once(
    trims: list[str], world: World, clock: VirtualClock
) -> None:
    world.settle()

    for _ in range(3):
        clock.sleep(instances.TRIM_SECONDS + 1)
        world.turn(2)

    assert trims == ["trim"]
