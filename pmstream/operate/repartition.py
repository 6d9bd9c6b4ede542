"""Gives a process manager another partition count, while it stands still.

Its instances go, byte for byte, into a new generation of its topics, each where its process UUID
now belongs. Rule: the new generation goes live only after it was read and found equal to the old
one, which stays as it was, but closed. Whoever was killed, the same call goes on.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations, moving
from pmstream.operate.bounds import bounds, own_topic, records
from pmstream.operate.contents import Contents, Looked, look
from pmstream.operate.drained import Left, left
from pmstream.operate.generations import Making
from pmstream.operate.moving import Progress, is_first, steps
from pmstream.operate.standstill import check_members
from pmstream.operate.twins import pair_faults
from pmstream.runtime.clock import Clock
from pmstream.runtime.generations import State, live, read_state, unfinished
from pmstream.runtime.log import Log, TopicInfo, TopicPartition
from pmstream.runtime.roles import ROUTER

WHAT = "repartition"
"""The word for it, among the changes of a generation."""

MOST_PARTITIONS = 10_000
"""As many as the setting inbox_partitions allows."""


class Plan(Struct, frozen=True):
    """What a repartition would do.

    Attributes:
        old: names of the generation that is live.
        before: how many partitions it has.
        generation: number of the new one.
        partitions: how many that will have.
        goes_on: whether it was begun before.
        looked: what the old changelog holds.
        left: what is under way, and forbids it.
    """

    old: Names
    before: int
    generation: int
    partitions: int
    goes_on: bool
    looked: Looked
    left: tuple[Left, ...]


class Done(Struct, frozen=True):
    """What came of it: the new names, and what was found equal in both generations."""

    new: Names
    contents: Contents


def plan(log: Log, app: App, process_manager: str, partitions: int, progress: Progress) -> Plan:
    """Looks at what there is; alters nothing.

    Args:
        log: the cluster.
        app: with the process manager.
        process_manager: its name.
        partitions: how many it shall have.
        progress: hears how far it is.

    Raises:
        ConfigurationError: it cannot be repartitioned, or not like this.
        Busy: its workers run, or another change of it is unfinished.
        Stopped: its changelog holds what should not be there.
        Unreachable, Unavailable, Refused: the cluster.
    """
    _check_manager(app, process_manager, partitions)
    old, existing = live(log, app.name, process_manager), log.topics()
    making = generations.under_way(log, app, process_manager)
    _check_change(process_manager, making, partitions)
    before = _count(log, existing, old)
    if before == partitions:
        raise ConfigurationError(f"{old.inbox} has {before} partitions already")
    check_members(log, app, old)
    changelog = existing[old.changelog]
    looked = look(log, changelog, steps("read", records(log, changelog), progress))
    new = making.new if making is not None else None
    new = new or generations.next_names(log, app, process_manager, own_feeds=True)
    return Plan(
        old=old,
        before=before,
        generation=new.generation,
        partitions=partitions,
        goes_on=making is not None,
        looked=looked,
        left=tuple(left(log, old, app.events, looked)),
    )


def carry_out(
    log: Log, app: App, plan: Plan, settings: Settings, clock: Clock, progress: Progress
) -> Done:
    """Makes the new generation, and lets it live.

    Args:
        log: the cluster.
        app: with the process manager.
        plan: with nothing left.
        settings: of the new topics.
        clock: for the first commit records.
        progress: hears how far it is.

    Raises:
        Busy: workers run, or something came in between; what was begun can be gone on with.
        Stopped: the copy is not equal: nothing was switched.
        Again, MustAbort, OutcomeUnknown, Refused, Unavailable, Unreachable: the cluster; the same
            call goes on.
    """
    _check_drained(plan.old, plan.left)
    making = generations.begin(
        log,
        app,
        plan.old.process_manager,
        WHAT,
        partitions=plan.partitions,
        own_feeds=True,
        settings=settings,
        clock=clock,
    )
    moving.make_topics(log, making, settings, clock)
    moving.restore_positions(log, making.old, plan.looked.commits)
    generations.close(log, making, clock)
    _check_unchanged(log, plan, making)
    looked = plan.looked
    total = sum(looked.ends.values())
    commits = looked.commits.values()
    moving.copy(log, making, commits, clock.now(), steps("copied", total, progress))
    moving.set_positions(log, making)
    moving.verify(log, making, looked.contents, progress)
    _check_unchanged(log, plan, making)
    generations.go_live(log, making)
    return Done(making.new, looked.contents)


def check_unused(log: Log, app: App, process_manager: str) -> int:
    """The generation before the live one, if a repartition made that and it has done nothing.

    Raises:
        ConfigurationError: going back would lose what it has done.
        Unreachable, Unavailable, Refused: the cluster.
    """
    state = read_state(log, app.name, process_manager)
    if not state.past or state.past[-1].what != WHAT:
        raise ConfigurationError(
            f"generation {state.generation} of {process_manager} was not made by a repartition: "
            "there is nothing to go back to"
        )
    if _has_worked(log, app, process_manager, state):
        raise ConfigurationError(
            f"generation {state.generation} of {process_manager} has worked since: going back "
            "would lose what it did. Repartition again instead: that takes everything along"
        )
    return state.past[-1].generation


def lineage(log: Log, app: str, process_manager: str) -> list[Names]:
    """The live generation, behind those whose instances went on in it, the oldest first.

    Raises:
        ConfigurationError, Unavailable, Refused: the cluster.
    """
    state = read_state(log, app, process_manager)
    found = [state.names(app, process_manager)]
    for each in reversed(state.past):
        if each.what != WHAT:  # a rebuild has taken the history along
            break
        found.insert(0, Names(app, process_manager, each.generation, each.feeds))
    return found


def _has_worked(log: Log, app: App, process_manager: str, state: State) -> bool:
    names, existing = state.names(app.name, process_manager), log.topics()
    stood = {
        TopicPartition(each.topic, each.partition): each.position
        for each in state.closed.get(str(state.past[-1].generation), ())
        if each.topic in app.events
    }
    now = log.last_committed(names.group(ROUTER), list(stood))
    if {place: each.position for place, each in now.items()} != stood:
        return True
    if records(log, existing[names.inbox]) or records(log, existing[names.orders]):
        return True
    commits = look(log, existing[names.changelog], lambda _: None).commits.values()
    return not all(is_first(each, names) for each in commits)


def _check_manager(app: App, process_manager: str, partitions: int) -> None:
    keyed = app.manager(process_manager).keyed
    if keyed is not None:
        raise ConfigurationError(
            f"{process_manager} reads {keyed} itself (keyed): its partitions are those of that "
            "topic, which is not pmstream's. Leave keyed out and give the process manager a new "
            "name: with a router, it has partitions of its own"
        )
    if not 1 <= partitions <= MOST_PARTITIONS:
        raise ConfigurationError(f"--partitions {partitions}: say 1 to {MOST_PARTITIONS}")


def _check_change(process_manager: str, making: Making | None, partitions: int) -> None:
    change = making.change if making is not None else None
    if change is None or (change.what, change.partitions) == (WHAT, partitions):
        return
    if change.what != WHAT:
        raise Busy(unfinished(process_manager, change))
    raise Busy(
        f"a repartition of {process_manager} into {change.partitions} partitions is unfinished: "
        f"finish it with --partitions {change.partitions}, or give it up with --abandon"
    )


def _count(log: Log, existing: Mapping[str, TopicInfo], names: Names) -> int:
    for topic in (names.inbox, names.changelog, names.orders):
        own_topic(log, topic)
    faults = list(pair_faults(names, existing, log))
    if faults:
        raise ConfigurationError(*faults)
    return existing[names.inbox].partitions


def _check_drained(old: Names, found: Iterable[Left]) -> None:
    told = [f"{each.where}: {each.what} ({each.remedy})" for each in found]
    if told:
        raise Busy(f"{old.process_manager} is not drained: {'; '.join(told)}")


def _check_unchanged(log: Log, plan: Plan, making: Making) -> None:
    """What came after the look would be lost with the old generation."""
    found = left(log, making.old, making.app.events, plan.looked)
    ends = bounds(log, log.topics()[making.old.changelog])
    if plan.looked.ends != {place: end for place, (_, end) in ends.items()}:
        found.append(Left(making.old.changelog, "it was written", ""))
    if found:
        told = "; ".join(f"{each.where}: {each.what}" for each in found)
        raise Busy(
            f"something came in between: {told}. Give the repartition up with --abandon, which "
            "opens the old generation again, let the instances workers take it in, and begin anew"
        )
