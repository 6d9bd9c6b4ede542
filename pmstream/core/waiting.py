"""What may not pass what is before it, and how it waits behind an instance.

Rule: only an input that creates passes work that waits for a start; else it would wait for itself.
"""

from msgspec.structs import replace

from pmstream.core.inputs import Step
from pmstream.core.instance import Backlog, Entry, Instance, Timers, Wait, Work
from pmstream.core.messages import Cause, Timed
from pmstream.core.result import Outcome
from pmstream.core.routing import CREATING


def must_queue(instance: Instance, cause: Cause) -> bool:
    """Whether something is before it that it may not pass."""
    work = instance.work
    if work is None:
        return instance.backlog.size > 0
    return not (work.not_started and cause.route in CREATING)


def behind(instance: Instance, route: str) -> int:
    """How long the backlog is that an input of that route would wait behind."""
    if not instance.backlog.size:
        return 0
    passes = instance.work is not None and instance.work.not_started and route in CREATING
    return 0 if passes else instance.backlog.size


def queue(instance: Instance, cause: Cause, now: int) -> Step:
    """Puts it behind the backlog."""
    backlog = instance.backlog
    work = Work(input=cause)
    if cause.hold:  # its time counts from now, whenever its turn comes
        work = Work(input=cause, wait=Wait.START, due=now + cause.hold)
    longer = Backlog(backlog.first, backlog.next + 1, backlog.size + 1)
    return Step(
        instance=replace(instance, backlog=longer),
        outcome=Outcome.QUEUED,
        put=Entry(backlog.next, work),
    )


def fire(instance: Instance, name: str, process_uuid: str, now: int) -> Step | Cause | None:
    """A timer comes due: it queues, or is worked on now; None when there is none to fire."""
    timers = instance.timers
    timer = timers.pending.get(name)
    if timer is None or timer.queued:
        return None
    cause = Timed(process_uuid, name, timer.due, timer.n, instance.born, timer.correlation_id)
    if not must_queue(instance, cause):
        return cause
    pending = {**timers.pending, name: replace(timer, queued=True)}
    return queue(replace(instance, timers=Timers(pending, timers.count)), cause, now)
