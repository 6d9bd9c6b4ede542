"""What is not well in an app, the gravest first: where, and which command to run next.

Rule: a finding is something that does not pass by itself; an instance that retries in time, or a
lag that is being worked off, is none.
"""

import shlex
from collections.abc import Iterator, Sequence

from msgspec import Struct

from pmstream.core.lifecycle import Condition
from pmstream.operate.roll import Roll
from pmstream.operate.status import INSTANCES, MOST_DEAD_LETTERS, Fares, Group

APP = "APP"
"""Stands in commands for what the command line calls the app."""

MOST_NAMED = 3
"""Partitions and processes that a sentence names; of more it tells how many there are."""


class Finding(Struct, frozen=True):
    """Something that is not well.

    Attributes:
        process_manager: where.
        what: the sentence.
        command: to run next, behind `pmstream`.
    """

    process_manager: str
    what: str
    command: str


def findings(fares: Sequence[Fares]) -> list[Finding]:
    """All that is not well.

    Args:
        fares: as `status` told them.
    """
    found = [
        (rank, Finding(each.process_manager, what, command))
        for each in fares
        for rank, (what, command) in _of_one(each)
    ]
    return [each for _, each in sorted(found, key=lambda both: both[0])]


_CHANGES = {
    "rebuild": "replay {app} {name} --rebuild",
    "repartition": "topics repartition {app} {name} --partitions N",
    "rollback": "replay {app} {name} --roll-back",
}
"""What goes on with a change of generation."""

_Ranked = tuple[int, tuple[str, str]]


def _of_one(fares: Fares) -> Iterator[_Ranked]:
    name = fares.process_manager
    if fares.missing:
        yield 0, (f"there is no topic {', '.join(fares.missing)}", f"topics check {APP}")
        return
    if fares.change:
        command = _CHANGES.get(fares.change, "topics check {app}").format(app=APP, name=name)
        yield 0, (f"a {fares.change} is under way, or was left half-way: workers wait", command)
    paused = fares.roll.paused if fares.roll is not None else ()
    for group in fares.groups:
        yield from _of_group(group, paused if group.role == INSTANCES else ())
    if fares.roll is not None:
        yield from _of_roll(name, fares.roll)
    letters = fares.dead_letters
    if letters.recent:
        count = f"at least {letters.count}" if letters.count >= MOST_DEAD_LETTERS else letters.count
        yield (
            8,
            (
                f"records that could not be read became dead letters within a day ({count} in all)",
                f"dead-letters list {APP} {name} --since 1d",
            ),
        )


def _of_group(group: Group, paused: Sequence[int]) -> Iterator[_Ranked]:
    role = group.role
    if group.without_position:
        topics = ", ".join(group.without_position)
        yield 1, (f"its {role} has no position in {topics}", f"topics ensure {APP}")
    if not group.members:
        what = f"no {role} worker runs" + (f", {group.lag} records wait" if group.lag else "")
        yield 2, (what, f"run {APP}")
    if group.pinned:
        places = _named([f"{each.place.topic}-{each.place.partition}" for each in group.pinned])
        yield 3, (f"an open transaction hides the end of {places}", f"doctor {APP}")
    standing = [each for each in group.standing if each.place.partition not in paused]
    if standing and group.members:
        places = _named([f"{each.place.topic}-{each.place.partition}" for each in standing])
        yield 5, (f"records wait and nothing moves in {places}", f"doctor {APP}")


def _of_roll(name: str, roll: Roll) -> Iterator[_Ranked]:
    if roll.paused:
        what = f"an operator has paused {_count(len(roll.paused), 'partition')}"
        yield 2, (what, f"resume {APP} {name}")
    if roll.full:
        what = f"the backlog of {_named(roll.full)} is full and holds its partition back"
        yield 4, (what, f"instances show {APP} {name} {shlex.quote(roll.full[0])}")
    if roll.unreadable:
        what = f"{roll.unreadable} instances were written by a newer version of pmstream"
        yield 4, (what, f"instances check {APP} {name}")
    parked = roll.conditions.get(Condition.PARKED, 0)
    if parked:
        verb = "is" if parked == 1 else "are"
        what = f"{_count(parked, 'instance')} {verb} parked: somebody has to decide"
        yield 6, (what, f"instances stuck {APP} {name}")
    if roll.overdue:
        what = (
            f"{roll.overdue} retries, timers, holds or replies are overdue, the latest by "
            f"{roll.late_ms // 1000} s"
        )
        if roll.overdue_timers:
            yield 7, (what, f"timers list {APP} {name} --due-before now")
        else:
            conditions = (Condition.RETRYING, Condition.AWAITING, Condition.HOLDING)
            options = " ".join(f"--condition {each}" for each in conditions)
            yield 7, (what, f"instances list {APP} {name} {options}")


def _count(number: int, thing: str) -> str:
    return f"1 {thing}" if number == 1 else f"{number} {thing}s"


def _named(things: Sequence[str]) -> str:
    more = len(things) - MOST_NAMED
    return ", ".join(things[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")
