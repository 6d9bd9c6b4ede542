"""step(): what an input means to its instance; `route`, its fellow for the router, is here too.

Rule: pure and total. What the author's code or the input did wrong becomes an answer; an
exception out of here is a bug of pmstream and stops the worker. One is none: StateNewer.
"""

from msgspec.structs import replace

from pmstream.core.dispatching import Reply, replied
from pmstream.core.failure import Halt
from pmstream.core.handling import run
from pmstream.core.inputs import Arrived, Due, Input, Step, Take, Waiting
from pmstream.core.instance import Backlog, Entry, Instance, Status, Wait, Work
from pmstream.core.interest import DeadLetter, Dropped, Routing, route
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Cause, Coder, Encoded
from pmstream.core.obeying import Ordered, Refused, delivered, obey
from pmstream.core.orders import Order, Verb
from pmstream.core.process import Callbacks
from pmstream.core.result import Outcome, Result
from pmstream.core.state import check_version
from pmstream.core.turn import Turn
from pmstream.core.waiting import fire, must_queue, queue

__all__ = [
    "Arrived",
    "Coder",
    "DeadLetter",
    "Dropped",
    "Due",
    "Encoded",
    "Entry",
    "Halt",
    "Input",
    "Order",
    "Outcome",
    "Reply",
    "Routing",
    "Step",
    "Take",
    "Waiting",
    "route",
    "step",
]


def step(
    callbacks: Callbacks,
    instance: Instance | None,
    input: Input,
    now: int,
    coder: Coder,
    max_state_bytes: int,
) -> Step:
    """Works on one input of one instance.

    Args:
        callbacks: of the process manager.
        instance: as the last step left it; None when there is no record.
        input: what happened.
        now: milliseconds since the epoch.
        coder: the bytes of messages.
        max_state_bytes: limit of the state, and of a failure's context.

    Raises:
        StateNewer: newer code wrote the instance; nothing may be done with it here.
    """
    if instance is not None and instance.state_version > callbacks.state_version:
        check_version(instance, callbacks)
    if isinstance(input, Arrived):
        return _arrived(callbacks, instance, input, now, coder, max_state_bytes)
    found: Step | tuple[Cause, Work | None]
    if isinstance(input, Waiting):
        found = input.entry.work.input, input.entry.work
    elif not isinstance(input, Order):
        found = _called_for(instance, input, now)
    elif input.verb is Verb.DELIVER:
        found = _deliver(callbacks, instance, input, now, coder, max_state_bytes)
    else:
        found = _ordered(Ordered(input, callbacks, now, max_state_bytes), instance)
    if isinstance(found, Step):
        return found
    cause, work = found
    if isinstance(input, Waiting) and input.entry.work.wait is Wait.OPERATOR:
        life = instance if instance is not None and instance.status is not Status.ABSENT else None
        result = Result(Outcome.PARKED, life, work=work)
    else:
        turn = Turn(callbacks, cause, None, work, now, coder, max_state_bytes)
        if work is not None:
            turn.resume(work)
        result = _resume(turn, instance, input)
    return _settle(instance, input, result, now)


def _arrived(
    callbacks: Callbacks,
    instance: Instance | None,
    input: Arrived,
    now: int,
    coder: Coder,
    max_state_bytes: int,
) -> Step:
    """An event's turn has come, or it queues; where nothing waits, nothing else can follow."""
    is_idle = instance is None or (instance.work is None and not instance.backlog.size)
    if instance is not None and not is_idle and must_queue(instance, input.routed):
        return queue(instance, input.routed, now)
    turn = Turn(callbacks, input.routed, input.event, None, now, coder, max_state_bytes)
    result = run(turn, instance)
    if is_idle and result.work is None and result.halt is None:
        return Step(instance=result.life, outcome=result.outcome, commands=result.commands)
    return _settle(instance, input, result, now)


def _resume(turn: Turn, instance: Instance | None, input: Input) -> Result:
    reply = input if isinstance(input, Reply) else None
    if reply is not None or (isinstance(input, Due) and input.kind is DueKind.REPLY):
        assert instance is not None, "a command is awaited"
        assert turn.work is not None, "a command is awaited"
        return replied(turn, instance, turn.work, reply)
    return run(turn, instance)


def _ordered(ordered: Ordered, instance: Instance | None) -> Step | tuple[Cause, Work | None]:
    """What an order has to be worked on; the Step is: it was obeyed at once, or refused."""
    try:
        found = obey(ordered, instance)
    except Refused as error:
        return Step(instance=instance, outcome=Outcome.REFUSED, refused=str(error))
    if isinstance(found, Result):
        return _settle(instance, ordered.order, found, ordered.now)
    return found


def _deliver(
    callbacks: Callbacks,
    instance: Instance | None,
    order: Order,
    now: int,
    coder: Coder,
    max_state_bytes: int,
) -> Step:
    """The event of an order is an event like any other, but nobody asks whether it was seen."""
    try:
        arrived = Arrived(delivered(order))
    except Refused as error:
        return Step(instance=instance, outcome=Outcome.REFUSED, refused=str(error))
    return step(callbacks, instance, arrived, now, coder, max_state_bytes)


_WAITS = {DueKind.RETRY: Wait.RETRY, DueKind.REPLY: Wait.REPLY, DueKind.START: Wait.START}


def _called_for(
    instance: Instance | None, input: Due | Reply, now: int
) -> Step | tuple[Cause, Work | None]:
    """What a reply or a due entry is about; the Step is: nothing, or something simple."""
    if instance is None:
        return Step(instance=None, outcome=Outcome.IGNORED)
    work = instance.work
    if isinstance(input, Reply):
        awaited = work is not None and work.wait is Wait.REPLY
        if work is None or not awaited or work.pending[0].id != input.command_id:
            return Step(instance=instance, outcome=Outcome.IGNORED)
        return work.input, work
    if input.kind is DueKind.TIMER:
        return _timer(instance, input, now)
    if input.kind is DueKind.MARKER:
        return _marker(instance, now)
    if input.kind is DueKind.DRAIN:
        take = Take.FIRST if _take(instance) is Take.FIRST else None
        return Step(instance=instance, outcome=Outcome.IGNORED, take=take)
    if work is None or work.wait is not _WAITS[input.kind] or work.due > now:
        return Step(instance=instance, outcome=Outcome.IGNORED)
    return work.input, work


def _timer(instance: Instance, due: Due, now: int) -> Step | tuple[Cause, None]:
    timer = instance.timers.pending.get(due.name)
    fired = None
    if timer is not None and timer.due <= now:
        fired = fire(instance, due.name, due.process_uuid, now)
    if fired is None:
        return Step(instance=instance, outcome=Outcome.IGNORED)
    return fired if isinstance(fired, Step) else (fired, None)


def _marker(instance: Instance, now: int) -> Step:
    if instance.status is not Status.COMPLETED or instance.until > now:
        return Step(instance=instance, outcome=Outcome.IGNORED)
    after = _record(None, instance.work, instance.backlog)
    return Step(instance=after, outcome=Outcome.IGNORED)


def _take(instance: Instance | None) -> Take | None:
    if instance is None or not instance.backlog.size:
        return None
    if instance.work is None:
        return Take.FIRST
    return Take.CREATING if instance.work.not_started else None


def _settle(instance: Instance | None, input: Input, result: Result, now: int) -> Step:
    """Puts together what the input left, what waited before it, and what waits behind."""
    if result.halt is not None:
        stays = _in_its_place(instance, input, now)
        if stays is None:
            return Step(instance=instance, outcome=Outcome.HALTED, halt=result.halt)
        result = replace(result, life=None, work=stays)
    work, put, taken = result.work, None, None
    backlog = instance.backlog if instance is not None else _EMPTY
    own = isinstance(input, Due | Reply | Order)
    passed = instance.work if instance is not None and not own else None
    if passed is not None:
        if work is None:
            work = _tried_again(passed, now) if result.life is not None else passed
        else:
            put = Entry(backlog.first - 1, passed)
            backlog = Backlog(put.sequence, backlog.next, backlog.size + 1)
    if isinstance(input, Waiting):
        taken = input.entry.sequence
        backlog = _without(backlog, taken, passed=passed is not None)
    after = _record(result.life, work, backlog)
    return Step(
        instance=after,
        outcome=result.outcome,
        commands=result.commands,
        put=put,
        taken=taken,
        take=_take(after),
        halt=result.halt,
    )


def _in_its_place(instance: Instance | None, input: Input, now: int) -> Work | None:
    """What halts, if it is from the backlog and has passed what waits: it is tried before that.

    Else nothing would call for it once there is a worker again, and what arrives then would
    pass it.
    """
    if instance is None or instance.work is None or not isinstance(input, Waiting):
        return None
    return replace(input.entry.work, wait=Wait.RETRY, due=now)


_EMPTY = Backlog()
_ABSENT = Instance(status=Status.ABSENT)


def _tried_again(passed: Work, now: int) -> Work:
    """What waited for a start has it: it is tried at once, unless an operator is awaited."""
    if passed.wait is Wait.OPERATOR:
        return passed
    return replace(passed, wait=Wait.RETRY, due=now)


def _without(backlog: Backlog, taken: int, *, passed: bool) -> Backlog:
    if backlog.size == 1:
        return _EMPTY
    # One that was taken out of turn leaves a gap; what is before the first one is gone.
    first = backlog.first if passed and taken != backlog.first else taken + 1
    return Backlog(first, backlog.next, backlog.size - 1)


def _record(life: Instance | None, work: Work | None, backlog: Backlog) -> Instance | None:
    if life is None:
        if work is None and not backlog.size:
            return None
        life = _ABSENT
    elif work is not None and work.not_started:
        work = replace(work, not_started=False)
    if life.work is work and life.backlog == backlog:
        return life
    return replace(life, work=work, backlog=backlog)
