"""The same process manager several times on one log: tenants that never meet."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.app import App
from pmstream.config import Settings
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.runtime.world import World, make_app

TENANTS = ("acme", "zeta")


def make_tenants_app(settings: Settings) -> App:
    """As an author writes it: the tenant begins all names."""
    return make_app(f"world-{settings.app['tenant']}")


@pytest.fixture
def worlds(tmp_path: Path) -> Iterator[dict[str, World]]:
    """A world for each tenant: one log, one state directory, the same names of workers."""
    clock = VirtualClock()
    log = MemoryLog(clock)
    made = {
        tenant: World(log, tmp_path, clock, app=make_tenants_app(Settings(app={"tenant": tenant})))
        for tenant in TENANTS
    }
    for world in made.values():
        world.start_all()
    yield made
    for world in made.values():
        world.close()


def settle(worlds: dict[str, World]) -> None:
    """All together, as in one cluster."""
    for _ in range(60):
        for world in worlds.values():
            world.turn()
    for world in worlds.values():
        world.settle()


def test_each_tenant_sees_its_own_commands_only(worlds: dict[str, World]) -> None:
    acme, zeta = worlds["acme"], worlds["zeta"]

    acme.count("a", range(3))
    zeta.count("a", range(10, 12))
    settle(worlds)
    acme.count("a", range(3, 5))
    settle(worlds)

    assert acme.counts("a") == [(n, n + 1) for n in range(5)]
    assert zeta.counts("a") == [(10, 1), (11, 2)]
    assert acme.stores() == acme.changelog() != zeta.changelog() == zeta.stores()


def test_a_tenant_that_stops_and_comes_back_leaves_the_other_alone(
    worlds: dict[str, World],
) -> None:
    acme, zeta = worlds["acme"], worlds["zeta"]
    zeta.crash("w-0")

    acme.count("a", range(3))
    zeta.count("a", range(3))
    settle(worlds)
    while_it_was_away = acme.counts("a"), zeta.counts("a")
    zeta.start("instances", "w-0")
    settle(worlds)

    assert while_it_was_away == ([(0, 1), (1, 2), (2, 3)], [])
    assert zeta.counts("a") == acme.counts("a")
