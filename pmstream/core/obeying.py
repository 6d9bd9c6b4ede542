"""What an operator's order does to an instance.

Rule: an order is obeyed wholly or refused with a sentence; it never fails half-way, and what it
lets happen (a retry, a timer) happens as it would by itself.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from pmstream.core.answering import text
from pmstream.core.failure import Stage
from pmstream.core.inputs import Step
from pmstream.core.instance import Instance, Status, Timers, Wait, Work
from pmstream.core.messages import Cause, Routed, Timed
from pmstream.core.orders import OF_PARTITIONS, Order, Verb
from pmstream.core.process import Callbacks
from pmstream.core.result import Outcome, Result, ended_marker
from pmstream.core.routing import Route
from pmstream.core.state import dump_state, load_state
from pmstream.core.waiting import fire
from pmstream.errors import StateInvalid


class Refused(Exception):
    """Why an order is not obeyed."""


class Ordered(Struct, frozen=True):
    """An order, and what it is about.

    Attributes:
        order: what is ordered.
        callbacks: of the process manager.
        now: milliseconds since the epoch.
        max_state_bytes: the largest state.
    """

    order: Order
    callbacks: Callbacks
    now: int
    max_state_bytes: int


Obeyed = Result | Step | tuple[Cause, Work | None]
"""What became of the instance; or what is to be worked on now."""


def obey(ordered: Ordered, instance: Instance | None) -> Obeyed:
    """Carries out an order, or says what is to be worked on now.

    Raises:
        Refused: the instance is not such that this could be done.
    """
    order = ordered.order
    if order.verb in OF_PARTITIONS:
        raise Refused(f"{order.verb} concerns whole partitions, not process {order.process_uuid}")
    if instance is None:
        raise Refused("there is no such instance: it never began, or has ended")
    does = _VERBS.get(order.verb)
    if does is None:
        raise Refused(f"{order.verb} concerns an event, and comes as one")
    return does(ordered, instance)


_LARGEST = 1 << 63


def delivered(order: Order) -> Routed:
    """The event of an order to deliver it. Raises Refused."""
    try:
        found = msgspec.convert(order.arguments.get("event"), Routed)
        Route(found.route)
    except (msgspec.ValidationError, ValueError) as error:
        raise Refused(f"deliver needs `event`, a routed event: {error}") from error
    numbers = (found.partition, found.offset, found.index, found.hold, found.timestamp + 1)
    if not all(0 <= each < _LARGEST for each in numbers):
        raise Refused("deliver: a number of the event is out of range")
    if found.process_uuid != order.process_uuid:
        raise Refused(f"deliver: the event is one of process {found.process_uuid!r:.80}")
    return found


def _life(instance: Instance) -> Instance | None:
    return None if instance.status is Status.ABSENT else instance


def _work(ordered: Ordered, instance: Instance) -> Work:
    if instance.work is None:
        behind = instance.backlog.size
        what = f"; {behind} inputs are just coming from its backlog" if behind else ""
        raise Refused(f"it works on nothing: there is nothing to {ordered.order.verb}{what}")
    return instance.work


def _retry(ordered: Ordered, instance: Instance) -> Obeyed:
    work = _work(ordered, instance)
    if work.wait not in (Wait.RETRY, Wait.OPERATOR):
        raise Refused(f"it waits for {_WAITS_FOR[work.wait]}, not for a retry or an operator")
    return work.input, work


def _release(ordered: Ordered, instance: Instance) -> Obeyed:
    work = _work(ordered, instance)
    if work.wait is not Wait.OPERATOR:
        raise Refused(f"it is not parked: it waits for {_WAITS_FOR[work.wait]}")
    return work.input, replace(work, attempts=0, first_failed_at=0, context={}, reason="")


def _skip(ordered: Ordered, instance: Instance) -> Obeyed:
    work, life = _work(ordered, instance), _life(instance)
    fresh = replace(work, command=work.command + 1, attempts=0, first_failed_at=0, context={})
    if life is not None and work.stage is Stage.AFTER_COMMAND:
        return _go_on(replace(fresh, sent=work.sent[1:]), life)
    if life is not None and work.pending:  # confirm mode: the command at hand
        pending = work.pending[1:]
        if pending or not ordered.callbacks.has_after_command:
            return _go_on(replace(fresh, pending=pending), life)
        return _go_on(Work(input=work.input, stage=Stage.AFTER_COMMAND, sent=work.sent), life)
    if life is not None and isinstance(work.input, Timed):
        life = _without_timer(life, work.input)
    return Result(Outcome.SKIPPED, life)


def _go_on(work: Work, life: Instance) -> Obeyed:
    if work.pending or (work.stage is Stage.AFTER_COMMAND and work.sent):
        return work.input, work
    return Result(Outcome.SKIPPED, life)


def _without_timer(life: Instance, timer: Timed) -> Instance:
    is_set = life.timers.pending.get(timer.name)
    if is_set is None or is_set.n != timer.n:
        return life
    others = {name: each for name, each in life.timers.pending.items() if name != timer.name}
    return replace(life, timers=Timers(others, life.timers.count))


def _park(ordered: Ordered, instance: Instance) -> Obeyed:
    work = _work(ordered, instance)
    if work.wait is Wait.OPERATOR:
        raise Refused(f"it is parked already: {work.reason}" if work.reason else "it is parked")
    parked = replace(work, wait=Wait.OPERATOR, due=0, reason=text(ordered.order.why))
    return Result(Outcome.PARKED, _life(instance), work=parked)


def _edit(ordered: Ordered, instance: Instance) -> Obeyed:
    if instance.status is not Status.RUNNING:
        raise Refused(f"it is {instance.status}: it has no state to edit")
    arguments, callbacks = ordered.order.arguments, ordered.callbacks
    patch, expected = arguments.get("set"), arguments.get("expect", {})
    if not isinstance(patch, Mapping) or not patch or not isinstance(expected, Mapping):
        raise Refused("edit needs `set`, a mapping of fields to values (and `expect` likewise)")
    try:
        before = load_state(instance.state, callbacks, instance.state_version)
        for name, value in _converted(expected, callbacks.state).items():
            if getattr(before, name) != value:
                raise Refused(f"field {name} is not {value!r}, as was expected")
        after = replace(before, **_converted(patch, callbacks.state))
        state = dump_state(after, callbacks.state, ordered.max_state_bytes)
    except StateInvalid as error:
        raise Refused(str(error)) from error
    edited = replace(instance, state=state, state_version=callbacks.state_version)
    return Result(Outcome.ORDERED, edited, work=edited.work)


def _converted(values: Mapping[str, Any], state: type[Struct]) -> dict[str, Any]:
    types = {each.name: each.type for each in msgspec.structs.fields(state)}
    found = {}
    for name, value in values.items():
        if name not in types:
            raise Refused(f"{state.__name__} has no field {name!r}; it has {', '.join(types)}")
        try:
            found[name] = msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise Refused(f"field {name} of {state.__name__}: {error}") from error
    return found


def _stop(ordered: Ordered, instance: Instance) -> Obeyed:
    life = _life(instance)
    if life is not None and life.status is Status.COMPLETED:
        if instance.work is None:
            raise Refused("it has ended already; its marker expires by itself")
        return Result(Outcome.ENDED, life)
    if life is None:
        return Result(Outcome.ENDED, None)
    return Result(Outcome.ENDED, ended_marker(ordered.callbacks, life, ordered.now))


def _fire(ordered: Ordered, instance: Instance) -> Obeyed:
    name, order = _timer_name(ordered, instance), ordered.order
    fired = fire(instance, name, order.process_uuid, ordered.now)
    if fired is None:
        raise Refused(f"timer {name} came due already: it waits in the backlog")
    return fired if isinstance(fired, Step) else (fired, None)


def _cancel(ordered: Ordered, instance: Instance) -> Obeyed:
    name, timers = _timer_name(ordered, instance), instance.timers
    others = {each: timer for each, timer in timers.pending.items() if each != name}
    after = replace(instance, timers=Timers(others, timers.count))
    return Result(Outcome.ORDERED, after, work=after.work)


def _timer_name(ordered: Ordered, instance: Instance) -> str:
    name = ordered.order.arguments.get("name")
    pending = instance.timers.pending
    if not isinstance(name, str) or name not in pending:
        raise Refused(f"it has no timer {name!r}; it has {', '.join(sorted(pending)) or 'none'}")
    return name


_VERBS: dict[Verb, Callable[[Ordered, Instance], Obeyed]] = {
    Verb.RETRY: _retry,
    Verb.RELEASE: _release,
    Verb.SKIP: _skip,
    Verb.PARK: _park,
    Verb.EDIT: _edit,
    Verb.STOP: _stop,
    Verb.FIRE: _fire,
    Verb.CANCEL: _cancel,
}

_WAITS_FOR: dict[Wait | None, str] = {
    Wait.RETRY: "its retry",
    Wait.OPERATOR: "an operator",
    Wait.REPLY: "a reply",
    Wait.START: "its start",
    None: "its first try",
}
