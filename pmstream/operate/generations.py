"""A change of generation: begun, the old one closed, the new one live; given up, or gone back on.

Rule: each step is written down before it acts and may be done again, so after a kill the same call
goes on. Nothing begins, and nothing is closed, while a group has members.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate.standstill import check_members, make_topics, places, stable
from pmstream.operate.transaction import write
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Out
from pmstream.runtime.generations import (
    STATE_KEY,
    Change,
    Closed,
    Kept,
    Past,
    State,
    dump_closed,
    dump_state,
    load_closed,
    read_state,
    unfinished,
    with_change,
)
from pmstream.runtime.log import Committed, Log, TopicPartition, TopicSpec

ROLL_BACK = "rollback"

_COMPACTED = {"cleanup.policy": "compact"}

Positions = Mapping[TopicPartition, Committed]


class Making(Struct, frozen=True):
    """A change that is under way.

    Attributes:
        app: with the process manager.
        change: what the topic says of it.
        old: names of the generation that is live, or was until now.
        new: names of the one that is to be.
    """

    app: App
    change: Change
    old: Names
    new: Names


def under_way(log: Log, app: App, process_manager: str) -> Making | None:
    """The change that is under way, if there is one. Raises as `generations.read_state`."""
    app.manager(process_manager)
    state = read_state(log, app.name, process_manager)
    return None if state.change is None else _making(app, process_manager, state, state.change)


def next_names(log: Log, app: App, process_manager: str, *, own_feeds: bool) -> Names:
    """Names that `begin` would give. Raises as `generations.read_state`."""
    state = read_state(log, app.name, process_manager)
    number = state.used + 1
    return Names(app.name, process_manager, number, number if own_feeds else state.feeds)


def begin(  # noqa: PLR0913 - what it is of, and what it is to be
    log: Log,
    app: App,
    process_manager: str,
    what: str,
    *,
    partitions: int,
    own_feeds: bool,
    settings: Settings,
    clock: Clock,
    detail: str = "",
) -> Making:
    """From now on workers wait. One that was begun by the same command is answered as it is.

    Args:
        log: the cluster.
        app: with the process manager.
        process_manager: its name.
        what: the command, for people.
        partitions: of the new generation.
        own_feeds: whether it gets replies and orders of its own.
        settings: copies of the topic that tells of generations.
        clock: time.
        detail: see `Change`.

    Raises:
        Busy: workers run, or another change is under way.
        ConfigurationError, Unavailable, Refused, Unreachable: the cluster.
    """
    app.manager(process_manager)
    state = read_state(log, app.name, process_manager)
    _make_topic(log, Names(app.name, process_manager), settings, clock)
    change = state.change
    if change is not None and _asked(change) != (what, partitions, detail):
        raise Busy(unfinished(process_manager, change))
    if change is None:
        check_members(log, app, state.names(app.name, process_manager))
        number = state.used + 1
        change = Change(
            what=what,
            generation=number,
            feeds=number if own_feeds else state.feeds,
            partitions=partitions,
            time=clock.now(),
            detail=detail,
        )
        made = change
        state = _update(log, app, process_manager, lambda found: _begun(found, made))
    return _making(app, process_manager, state, change)


def close(log: Log, making: Making, clock: Clock) -> None:
    """Keeps the positions of the old generation, and marks them closed.

    Raises:
        Busy: workers run, or a transaction stays open.
        Unavailable, Refused, Unreachable: the cluster.
    """
    old, number = making.old, str(making.old.generation)
    check_members(log, making.app, old)
    found = {
        group: stable(log, group, some, clock)
        for group, some in places(log, making.app, old).items()
    }

    def keep(state: State) -> State:
        before = {(each.group, each.topic, each.partition): each for each in _kept(state, old)}
        for group, positions in found.items():
            for (topic, partition), committed in positions.items():
                if load_closed(committed.metadata) is None:
                    kept = Kept(group, topic, partition, *committed)
                    before[group, topic, partition] = kept
        return replace(state, closed={**state.closed, number: tuple(before.values())})

    _update(log, making.app, old.process_manager, keep)
    for group, positions in found.items():
        marked = {
            place: Committed(at, dump_closed(Closed(making.new.generation, text)))
            for place, (at, text) in positions.items()
            if load_closed(text) is None
        }
        if marked:
            log.set_positions(group, marked)


def closed_positions(log: Log, making: Making) -> dict[str, Positions]:
    """Where the groups of the old generation stood. Raises as `generations.read_state`."""
    state = read_state(log, making.old.app, making.old.process_manager)
    found: dict[str, dict[TopicPartition, Committed]] = {}
    for each in _kept(state, making.old):
        place = TopicPartition(each.topic, each.partition)
        found.setdefault(each.group, {})[place] = Committed(each.position, each.metadata)
    return dict(found)


def go_live(log: Log, making: Making) -> None:
    """The new generation is the live one; the change is over. Raises as `begin`."""
    old, new = making.old, making.new
    ended = Past(generation=old.generation, feeds=old.feeds, what=making.change.what)

    def done(state: State) -> State:
        if state.generation == new.generation:
            return state
        past = state.past[:-1] if making.change.what == ROLL_BACK else (*state.past, ended)
        return replace(
            with_change(state, None), generation=new.generation, feeds=new.feeds, past=past
        )

    _update(log, making.app, old.process_manager, done)


def abandon(log: Log, making: Making) -> None:
    """Gives a change up: the old generation goes on where it stood.

    Raises:
        Busy: workers run.
        ConfigurationError, Unavailable, Refused, Unreachable: the cluster.
    """
    _reopen(log, making.app, making.old)
    _update(log, making.app, making.old.process_manager, lambda state: with_change(state, None))


def begin_roll_back(log: Log, app: App, process_manager: str, clock: Clock) -> Making:
    """From now on workers wait for the generation before the live one; `roll_back` follows.

    Raises:
        Busy: workers run, or another change is under way.
        ConfigurationError: there is no generation before; or the cluster.
        Unavailable, Refused, Unreachable: the cluster.
    """
    making = under_way(log, app, process_manager)
    if making is not None:
        if making.change.what == ROLL_BACK:
            return making
        raise Busy(unfinished(process_manager, making.change))
    state = read_state(log, app.name, process_manager)
    if not state.past:
        raise ConfigurationError(
            f"{process_manager} runs in generation {state.generation}, and none was before it: "
            "there is nothing to go back to"
        )
    check_members(log, app, state.names(app.name, process_manager))
    before = state.past[-1]
    change = Change(
        what=ROLL_BACK,
        generation=before.generation,
        feeds=before.feeds,
        partitions=0,
        time=clock.now(),
    )
    state = _update(log, app, process_manager, lambda found: _begun(found, change))
    return _making(app, process_manager, state, change)


def roll_back(log: Log, making: Making, clock: Clock) -> None:
    """Closes the live generation and goes on with the one before it, where that stood.

    Raises:
        Busy: workers run, or a transaction stays open.
        ConfigurationError, Unavailable, Refused, Unreachable: the cluster.
    """
    close(log, making, clock)
    _reopen(log, making.app, making.new)
    go_live(log, making)


def _making(app: App, process_manager: str, state: State, change: Change) -> Making:
    old = state.names(app.name, process_manager)
    return Making(
        app, change, old, Names(app.name, process_manager, change.generation, change.feeds)
    )


def _asked(change: Change) -> tuple[str, int, str]:
    return change.what, change.partitions, change.detail


def _begun(found: State, change: Change) -> State:
    if found.change is not None:  # two at once: the first one counts
        raise Busy(f"another command has begun a {found.change.what} at this moment")
    return with_change(found, change)


def _kept(state: State, names: Names) -> tuple[Kept, ...]:
    return state.closed.get(str(names.generation), ())


def _reopen(log: Log, app: App, names: Names) -> None:
    """Gives a closed generation its positions back."""
    process_manager = names.process_manager
    check_members(log, app, names)
    kept = _kept(read_state(log, names.app, process_manager), names)
    groups: dict[str, dict[TopicPartition, Committed]] = {}
    for each in kept:
        place = TopicPartition(each.topic, each.partition)
        groups.setdefault(each.group, {})[place] = Committed(each.position, each.metadata)
    for group, positions in groups.items():
        log.set_positions(group, positions)

    mine = str(names.generation)

    def opened(state: State) -> State:
        closed = {number: some for number, some in state.closed.items() if number != mine}
        return replace(state, closed=closed)

    _update(log, app, process_manager, opened)


def _make_topic(log: Log, names: Names, settings: Settings, clock: Clock) -> None:
    """Makes the topic that tells of generations, unless it is there."""
    make_topics(log, [TopicSpec(names.generations, 1, _COMPACTED, settings.replication)], clock)


def _update(log: Log, app: App, process_manager: str, change: Callable[[State], State]) -> State:
    """Reads the state, and writes it changed; who was at it before is ended first."""
    names = Names(app.name, process_manager)
    producer = log.producer(names.generations)
    try:
        before = read_state(log, app.name, process_manager)
        state = change(before)
        if state != before:
            write(producer, [Out(names.generations, STATE_KEY, dump_state(state), (), 0)])
    finally:
        producer.drop()
    return state
