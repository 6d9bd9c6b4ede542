"""What a rebuild would lose, because it is not finished: found before, and after.

Rule: in a rebuild no command is sent, for those of history were. So whatever has not sent its
commands yet must be finished before it begins, or be as unfinished after it as it was.
"""

from collections.abc import Iterator

from pmstream.app import Names
from pmstream.core.instance import Instance
from pmstream.core.lifecycle import Condition, condition
from pmstream.operate.bounds import bounds
from pmstream.operate.drained import open_transactions, unread
from pmstream.operate.stand import Stand
from pmstream.runtime.log import Log, TopicPartition

MOST_NAMED = 10
"""So many processes of a kind are named."""

_REMEDY = {
    Condition.RETRYING: "let their retries end, or `instances park` or `skip` them",
    Condition.AWAITING: "let the replies come, or `instances park` or `skip` them",
    Condition.DRAINING: "let the instances workers run until they are done",
}
"""What must be finished before a rebuild, and how."""


def unfinished(stands: Iterator[Stand]) -> Iterator[str]:
    """Processes whose work would go on in the rebuild, without its commands."""
    found: dict[Condition, list[str]] = {each: [] for each in _REMEDY}
    for stand in stands:
        for uuid, instance in stand.instances():
            if (at := condition(instance)) in found:
                found[at].append(uuid)
    for at, uuids in found.items():
        if uuids:
            yield f"{_some(uuids)} {at}: their commands would be lost; {_REMEDY[at]}"


def unhandled(log: Log, names: Names, positions: dict[TopicPartition, int]) -> Iterator[str]:
    """Routed events that no instances worker has handled.

    Args:
        log: the cluster.
        names: of the generation that stopped.
        positions: of its instances workers in the inbox.

    Raises:
        Unreachable, Unavailable, Refused: the cluster.
    """
    inbox = log.topics()[names.inbox]
    count = sum(
        unread(log, place, span, positions.get(place, 0))
        for place, span in bounds(log, inbox).items()
    )
    if count:
        yield (
            f"{count} routed events are not handled yet: their commands would be lost; let the "
            "instances workers run (without routers) until `pmstream status` says that they are"
        )
    for place in open_transactions(log, inbox):
        yield (
            f"{place.topic}-{place.partition} has an open transaction: a worker died in it, "
            "and the broker ends it within transaction.timeout.ms; try again then"
        )


def lost(old: Stand, new: Stand) -> Iterator[str]:
    """What was to come in the old generation, and is no more in the new one; one sentence each."""
    until = old.last.time if old.last is not None else 0
    for uuid, was in old.instances():
        now = new.instance(uuid)
        left = _open(uuid, new, now) if now is not None else []
        missing = [each for each in _open(uuid, old, was) if each not in left]
        if missing:
            yield (
                f"process {uuid} is {condition(was)} with {', '.join(missing)}, and would not be "
                "after the rebuild: what is to be sent for that would be lost"
            )
        yield from _lost_timers(uuid, was, now)
    for uuid, now in new.instances():
        there = old.instance(uuid)
        left = _open(uuid, old, there) if there is not None else []
        more = [each for each in _open(uuid, new, now) if each not in left]
        if more:
            yield (
                f"process {uuid} has handled {', '.join(more)}, and would be {condition(now)} with "
                "that after the rebuild: what was sent for it would be sent again"
            )
        yield from _again(uuid, there, now, until)


def _open(uuid: str, stand: Stand, instance: Instance) -> list[str]:
    """What the instance works on, and what waits behind it."""
    working = [instance.work.input.cause] if instance.work is not None else []
    return [*working, *stand.waiting(uuid, instance)]


def _lost_timers(uuid: str, was: Instance, now: Instance | None) -> Iterator[str]:
    """Timers that the rebuild let fire (later ones of the name replace them) too early."""
    if now is None or now.born != was.born:
        return
    for name, timer in was.timers.pending.items():
        there = now.timers.pending.get(name)
        if not timer.queued and there is None and now.timers.count >= timer.n:
            yield (
                f"timer {name} of process {uuid} is still to fire, and has fired in the rebuild "
                "(it was set later than its event was written): what it sends would be lost"
            )


def _again(uuid: str, was: Instance | None, now: Instance, until: int) -> Iterator[str]:
    """Timers that have fired, and would fire once more."""
    if was is None or was.born != now.born:
        return
    for name, timer in now.timers.pending.items():
        is_over = name not in was.timers.pending and timer.n <= was.timers.count
        if is_over and timer.due <= until and not timer.queued:
            yield (
                f"timer {name} of process {uuid} has fired, and would fire once more after the "
                "rebuild: what it sends would be sent again"
            )


def _some(uuids: list[str]) -> str:
    more = f" and {len(uuids) - MOST_NAMED} more" if len(uuids) > MOST_NAMED else ""
    named = ", ".join(sorted(uuids)[:MOST_NAMED]) + more
    return f"process {named} is" if len(uuids) == 1 else f"{len(uuids)} processes ({named}) are"
