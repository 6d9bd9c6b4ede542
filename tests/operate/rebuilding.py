"""What tests of rebuilds do, on any log."""

from collections.abc import Callable, Iterator
from typing import Any

from msgspec.structs import replace

from pmstream import App
from pmstream.core.instance import Instance, load_instance, load_work
from pmstream.core.lifecycle import Condition
from pmstream.core.messages import Routed
from pmstream.core.orders import Verb
from pmstream.core.starting import StartFrom
from pmstream.operate import orders, rebuild
from pmstream.operate.job import Job, Plan, Rebuilt
from pmstream.runtime.generations import live
from tests.faults.kit import in_condition
from tests.runtime.world import World

PM = "counter"


class Killed(BaseException):
    """Ends a rebuild where it stands, as SIGKILL does."""


def begun(world: World) -> None:
    """Events of processes that will be in all conditions."""
    for each in "abcdef":
        world.count(each, range(3))
    world.count("a", [3], what="park")
    world.count("a", [4, 5])
    world.count("b", [3], what="skip")
    world.count("c", [3], what="stop")
    world.count("d", [3], what="park")


def lived(world: World) -> World:
    """Processes in all conditions, some handled after an order; some events are dead letters."""
    begun(world)
    world.count("e", [3], what="bad route")
    world.log.writer().produce(world.source, b"no event", b"k", partition=1)
    world.settle(lambda: in_condition(world, "d") is Condition.PARKED)
    order(world, Verb.SKIP, "d")
    order(world, Verb.EDIT, "f", set={"count": 40})
    world.count("f", [4])
    world.settle()
    return world


def order(world: World, verb: Verb, uuid: str, **arguments: Any) -> None:
    """Gives an order, and lets it be obeyed."""
    made = orders.make(verb, [uuid], arguments, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)
    world.settle()


def stop(world: World) -> None:
    """All workers end, and so do the sessions of static members."""
    world.close()
    world.clock.sleep(60)


def job(world: World, app: App | None = None, start_from: StartFrom | None = None) -> Job:
    return Job(app or world.app, PM, start_from, world.settings)


def look(world: World, app: App | None = None, start_from: StartFrom | None = None) -> Plan:
    return rebuild.plan(world.log, job(world, app, start_from))


def faults(world: World, **options: Any) -> str:
    """What forbids it."""
    return "\n".join(look(world, **options).faults)


def rebuilt(
    world: World,
    app: App | None = None,
    *,
    accept: bool = False,
    done: Callable[[int], None] = lambda _more: None,
    start_from: StartFrom | None = None,
) -> Rebuilt:
    """Rebuilds; from then on the world looks at what is live."""
    found = rebuild.carry_out(
        world.log,
        job(world, app, start_from),
        world.clock,
        lambda _text: accept,
        done,
        lambda _text: None,
    )
    world.names = live(world.log, world.app.name, PM)
    return found


def timeless(folded: dict[bytes, bytes]) -> dict[bytes, Any]:
    """A changelog's fold; of what failed, without when it was tried, and that it was replayed."""
    return dict(_timeless(folded))


def _timeless(folded: dict[bytes, bytes]) -> Iterator[tuple[bytes, Any]]:
    for key, value in folded.items():
        if key[:1] == b"q":
            yield key, _work(load_work(value))
            continue
        instance: Instance = load_instance(value)
        plain = instance.work is None
        yield key, value if plain else replace(instance, work=_work(instance.work))


def _work(work: Any) -> Any:
    cause = work.input
    cause = replace(cause, replayed=False) if isinstance(cause, Routed) else replace(cause, due=0)
    return replace(work, input=cause, first_failed_at=0, due=0)
