"""A scenario's story once more, on the runtime, with a real store, while things go wrong.

Each event is read several times, some come late, workers are killed at every step of a
commit, and (if asked) events of different topics overtake each other. Every process must send the
same commands and end in the same state.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from msgspec import Struct

from pmstream.app import App, Topic
from pmstream.core.messages import Headers
from pmstream.core.process import ProcessManager
from pmstream.errors import Stopped
from pmstream.runtime.commit import STEPS
from pmstream.testing.difference import difference
from pmstream.testing.running import Running, run


class Event(Struct, frozen=True):
    """An event of a story."""

    event: Any
    headers: Headers = ()


class Answer(Struct, frozen=True):
    """A reply of a story."""

    command: Any
    accepted: bool
    reason: Any = None


class Pause(Struct, frozen=True):
    """Time that passes in a story."""

    time: timedelta


MOST_LATE_MS = 100
"""So late an event may come, in milliseconds."""

Tale = Event | Answer | Pause


class End(Struct, frozen=True):
    """What came of a process: its commands, in order, and its state; None when it has ended."""

    commands: list[Any]
    state: Any


Homes = Mapping[type[Struct], str]
"""Type of event to its topic."""

Ends = dict[str, End]
"""Process UUID to what came of it."""


def rage(
    manager: ProcessManager[Any],
    story: Sequence[Tale],
    expected: Ends,
    seed: int,
    *,
    reorder: bool,
    of: App | None = None,
) -> None:
    """Tells a story again for each step of a commit, killed there.

    Args:
        manager: the process manager.
        story: what happened.
        expected: what came of it.
        seed: of all choices.
        reorder: let events of different topics overtake each other.
        of: the app that tells which events share a topic; without it, and for types that it does
            not declare, each type has its own.

    Raises:
        AssertionError: something else came of it.
    """
    types = {type(each.event) for each in story if isinstance(each, Event)}
    commands = {type(each) for end in expected.values() for each in end.commands}
    homes = {kind: _home(kind, of) for kind in sorted(types, key=lambda each: each.__name__)}
    app = _app(manager, homes, commands)
    for step in STEPS:
        chance = random.Random(f"{seed} {step}")
        told = _reordered(story, homes, chance) if reorder else list(story)
        how = f"seed {seed}, killed at {step!r}"
        with run(app) as running:
            running.kill_at(step)  # one at least; more of them by chance
            try:
                _play(running, told, step, chance)
                uuids = expected.keys() | running.processes
                found = {each: _end(running, manager.name, each) for each in uuids}
            except Stopped as error:
                raise AssertionError(f"chaos ({how}): it stopped: {error}") from error
        if running.kills == 0:
            raise AssertionError(f"chaos ({how}): nobody was killed, nothing was committed")
        _compare(expected, found, how, told if reorder else None)


def _end(running: Running, manager: str, uuid: str) -> End:
    return End(running.commands_of(uuid), running.state(manager, uuid))


def _play(running: Running, told: Sequence[Tale], step: str, chance: random.Random) -> None:
    """Tells all of it, each settled before the next, as causes and effects are."""
    for each in told:
        if running.kills and chance.random() < 0.5:
            running.kill_at(step, chance.randint(1, 2))
        if isinstance(each, Event) and chance.random() < 0.3:
            running.advance(timedelta(milliseconds=chance.randint(1, MOST_LATE_MS)))
        _tell(running, each)
        if chance.random() < 0.2:
            running.read_again()
        running.settle()
    running.read_again()
    running.settle()


def _tell(running: Running, what: Tale) -> None:
    if isinstance(what, Pause):
        running.advance(what.time)
    elif isinstance(what, Answer):
        running.reply(what.command, accepted=what.accepted, reason=what.reason)
    else:
        running.produce(what.event, headers=what.headers)


def _home(kind: type[Struct], app: App | None) -> str:
    declared = app.events.items() if app is not None else ()
    found = (topic for topic, what in declared if kind in what.types)
    return next(found, f"events.{kind.__name__}")


def _reordered(story: Sequence[Tale], homes: Homes, chance: random.Random) -> list[Tale]:
    """Another order, in which neither a topic's own events nor replies and pauses move."""
    told: list[Tale] = []
    events: list[Event] = []
    for each in (*story, None):
        if isinstance(each, Event):
            events.append(each)
            continue
        topics = [homes[type(event.event)] for event in events]
        chance.shuffle(topics)
        queues = {topic: [e for e in events if homes[type(e.event)] == topic] for topic in topics}
        told += [queues[topic].pop(0) for topic in topics]
        events = []
        told += [] if each is None else [each]
    return told


def _compare(expected: Ends, found: Ends, how: str, order: Sequence[Tale] | None) -> None:
    for uuid, end in sorted(found.items()):
        wanted = expected.get(uuid, End([], None))
        if wanted == end:
            continue
        hint = ""
        if order is not None:
            names = [type(each.event).__name__ for each in order if isinstance(each, Event)]
            hint = (
                f"\nthe events came in this order: {', '.join(names)}; an event that may come "
                "before its start can wait for it: ContinueExisting(..., hold=...)"
            )
        what = "commands" if wanted.commands != end.commands else "state"
        pair = (
            (wanted.commands, end.commands) if what == "commands" else ([wanted.state], [end.state])
        )
        raise AssertionError(
            f"chaos ({how}): process {uuid} has other {what} (- expected, + found):\n"
            f"{difference(*pair)}{hint}"
        )


def _app(manager: ProcessManager[Any], homes: Homes, commands: Iterable[type[Struct]]) -> App:
    """Each event in its topic, all in JSON: no schemas are needed."""

    def topic(types: Iterable[type[Struct]] | Mapping[type[Struct], str]) -> Topic:
        return Topic(types, format="json", type_header="type")

    return App(
        name="chaos",
        events={
            name: topic([kind for kind, home in homes.items() if home == name])
            for name in homes.values()
        },
        commands={
            f"commands.{each.__name__}": topic({each: each.__struct_fields__[0]})
            for each in commands
        },
        process_managers=[manager],
    )
