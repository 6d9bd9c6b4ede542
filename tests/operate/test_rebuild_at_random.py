"""Lives at random, with orders, timers, kills and a rebuild that is killed: the same comes out."""

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from pmstream.core.instance import Instance, load_instance
from pmstream.core.lifecycle import Condition, condition
from pmstream.core.orders import Verb
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.faults.kit import SOAK
from tests.operate.rebuilding import Killed, look, order, rebuilt, stop, timeless
from tests.runtime import clocked
from tests.runtime.clocked import ClockedWorld
from tests.runtime.world import World

PROCESSES = ("a", "b", "c", "a,b", "b,c,d", "e")
WHATS = ("go", "go", "go", "park", "skip", "stop", "timer", "early", "new", "continue", "only")
VERBS: tuple[tuple[Verb, dict[str, Any]], ...] = (
    (Verb.SKIP, {}),
    (Verb.RELEASE, {}),
    (Verb.STOP, {}),
    (Verb.EDIT, {"set": {"count": 50}}),
    (Verb.FIRE, {"name": "it"}),
    (Verb.CANCEL, {"name": "it"}),
)


def live_through(world: ClockedWorld, chance: random.Random) -> None:
    """Seventy things happen, each is done before the next one."""
    for n in range(70):
        what = chance.random()
        if what < 0.7:
            world.count(chance.choice(PROCESSES), [n], what=chance.choice(WHATS))
        elif what < 0.85:
            verb, arguments = chance.choice(VERBS)
            order(world, verb, chance.choice("abcde"), **arguments)
        elif what < 0.97:
            world.clock.sleep(chance.choice((1, 30, 70)))
        else:
            world.restart()
            world.clock.sleep(60)
        world.settle()


def finish(world: World) -> None:
    """Nothing is tried again by itself."""
    for uuid in "abcde":
        for _ in range(50):
            found = world.changelog().get(b"i" + uuid.encode())
            if found is None or condition(load_instance(found)) is not Condition.RETRYING:
                break
            order(world, Verb.SKIP, uuid)


def views(folded: dict[bytes, bytes]) -> dict[bytes, Any]:
    """Also without what counts from the handling's time, which live is a little later.

    When timers are due; how often the clock made one that waits for its start try again.
    """
    found: dict[bytes, Any] = {}
    for key, value in timeless(folded).items():
        each = load_instance(value) if isinstance(value, bytes) else value
        if isinstance(each, Instance):
            pending = {name: (t.n, t.queued) for name, t in each.timers.pending.items()}
            work = each.work and replace(each.work, attempts=0)
            plain = replace(each, timers=type(each.timers)(), work=work)
            found[key] = (plain, pending, each.timers.count)
        else:
            found[key] = replace(each, attempts=0)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60 if SOAK else 3))
def test_what_happened_at_random_comes_out_the_same(tmp_path: Path, seed: int) -> None:
    chance, clock = random.Random(seed), VirtualClock()
    world = ClockedWorld(MemoryLog(clock), tmp_path, clock, app=clocked.make_app())
    world.start_all()
    live_through(world, chance)
    finish(world)
    stop(world)
    before, sent = world.changelog(), len(world.commands())
    assert look(world).faults == ()
    left = chance.randrange(1, 150)

    def done(_more: int) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise Killed

    with pytest.raises(Killed):
        rebuilt(world, done=done)
    found = rebuilt(world)

    assert found.is_live, found.lost
    assert views(world.changelog()) == views(before)
    assert len(world.commands()) == sent
    world.start_all()
    world.clock.sleep(120)
    world.settle()
    world.close()
