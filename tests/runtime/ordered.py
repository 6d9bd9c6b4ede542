"""Helpers of the tests of orders: a world with a parked process, orders, their outcomes."""

from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Verb
from pmstream.operate import orders
from pmstream.runtime.log_errors import MustAbort
from pmstream.runtime.memory.hooks import Injection
from pmstream.runtime.orders import OrderOutcome
from tests.faults.kit import in_condition
from tests.runtime.world import World


def parked(world: World, *behind: int) -> World:
    """Process a: its second event is parked, others wait behind it."""
    world.start_all()
    world.count("a", [1])
    world.count("a", [2], what="park")
    world.count("a", behind)
    world.settle(lambda: in_condition(world, "a") is Condition.PARKED)
    world.settle()
    return world


def give(world: World, verb: Verb, uuid: str = "a", **arguments: object) -> None:
    made = orders.make(verb, [uuid], arguments, "ops", "a test", world.clock.now())
    orders.give(world.log, world.names, made)


def abort_next(world: World) -> Injection:
    """The next commit of the owner is refused."""
    who = world.workers["w-0"]._id
    return world.log.inject("commit", MustAbort("refused"), after=False, who=who)  # type: ignore[attr-defined, no-any-return]


def outcome(world: World, count: int = 1) -> OrderOutcome:
    """Turns until so many orders have their outcome; the last one."""
    found: list[OrderOutcome] = []

    def is_there() -> bool:
        found[:] = orders.audit(world.log, world.names)
        return len(found) >= count

    world.settle(is_there)
    assert len(found) == count
    return found[-1]


def write(world: World, value: bytes | None, headers: object, partition: int = 0) -> None:
    world.writer.produce(world.names.orders, value, b"a", headers, partition)  # type: ignore[arg-type]
    world.writer.flush(1)
