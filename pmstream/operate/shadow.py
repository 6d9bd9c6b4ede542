"""Runs today's code over the history of a process manager, and tells what would have come out.

Rule: nothing is written to Kafka. History is what the owners took in: the inbox (in direct mode the
source topic), replies and orders, up to the last commit; its time is the clock. The partition that
runs is the worker's own, on a store in a temporary folder.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core.instance import load_instance
from pmstream.core.messages import PROCESS_MANAGER
from pmstream.core.starting import ORIGIN
from pmstream.errors import ConfigurationError
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.operate.rerun import Rerun, Sent, commands_of, digest, id_of, merged
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, load_commit
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.generations import live
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.orders import Snapshot, snapshot
from pmstream.runtime.roles import partition_setup
from pmstream.runtime.setup import Setup
from pmstream.runtime.share import Share
from pmstream.runtime.store import INSTANCE, Caches, Store

MOST_TOLD = 1_000
"""So many differences of a kind are told one by one."""

Progress = Callable[[int, int], None]
"""Told how many records are done, of how many."""


class Changed(Struct, frozen=True):
    """A process that would stand elsewhere; None is: no instance."""

    uuid: str
    live: Snapshot | None
    shadow: Snapshot | None


class Compared(Struct, frozen=True, kw_only=True):
    """What today's code makes of history, beside what is there.

    Attributes:
        process_manager: its name.
        records: how many were replayed.
        instances: how many exist here or there.
        changed: those that differ, the first MOST_TOLD by process UUID; `changed_in_all`: how many.
        commands: how many are the same here and there.
        gone: ids of commands that were sent and would not be.
        new: ids of commands that were not sent and would be.
        altered: ids of commands with another content.
        notes: what could not be compared, and why.
    """

    process_manager: str
    records: int
    instances: int
    changed: tuple[Changed, ...]
    changed_in_all: int
    commands: int
    gone: tuple[str, ...]
    new: tuple[str, ...]
    altered: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def is_same(self) -> bool:
        """Whether today's code makes the same of history."""
        return not (self.changed_in_all or self.gone or self.new or self.altered)


class _Live(Struct):
    """What the changelog tells: instances, and how far each partition has come."""

    instances: dict[bytes, bytes] = {}
    last: dict[int, CommitRecord] = {}


def compare(
    log: Log, app: App, process_manager: str, settings: Settings, progress: Progress
) -> Compared:
    """Replays all that was taken in, and compares instances and commands.

    Args:
        log: the cluster.
        app: with the code of today.
        process_manager: its name.
        settings: limits.
        progress: hears how far it is.

    Raises:
        ConfigurationError: there is no such process manager, or its history is not retained.
        Stopped: today's code stops at an event.
        Unreachable, Unavailable, Refused: the cluster.
    """
    manager = app.manager(process_manager)
    if manager.keyed is not None and manager.start_from != ORIGIN:
        raise ConfigurationError(
            f"{process_manager} reads its source itself and did not start at its beginning "
            f"(start_from={manager.start_from!r}): where its history begins is not kept, and from "
            "another place it would show differences that are none"
        )
    names, clock = live(log, app.name, process_manager), VirtualClock(0)
    if names.generation == names.feeds > 1:
        raise ConfigurationError(
            f"{process_manager} was repartitioned: {names.inbox} holds no history of the instances "
            "that were copied, and all of them would seem to differ"
        )
    setup = partition_setup(
        app, names, "shadow", log, settings, clock, lambda *_: None, is_watched=False
    )
    stands = _live(log, names)
    history = _history(log, setup, stands)
    total = sum(end - start for start, end in history.values())
    shadow, sent, done = dict[bytes, bytes](), Sent(), 0
    with tempfile.TemporaryDirectory(prefix="pmstream-shadow-") as folder:
        for number in sorted(stands.last):
            store = Store(Path(folder) / str(number), "shadow", Caches())
            try:
                ours = {place: span for place, span in history.items() if place[1] == number}
                runner = Rerun(setup, clock, number, store, lambda share: _add(sent, share))
                for record in merged(log, ours, names.inbox):
                    runner.take(record)
                    done += 1
                    progress(done, total)
                runner.finish(stands.last[number].time)
                shadow |= dict(store.scan(INSTANCE, INSTANCE + b"\xff"))
            finally:
                store.close()
    return _compared(process_manager, done, stands.instances, shadow, _told(log, app, names, sent))


def _add(sent: Sent, share: Share) -> None:
    for id, what in commands_of(share).items():
        sent.setdefault(id, what)


def _live(log: Log, names: Names) -> _Live:
    info = log.topics()[names.changelog]
    live = _Live()
    for records in read_once(log, bounds(log, info)):
        for record in records:
            if record.key == COMMIT_KEY:
                live.last[record.partition] = load_commit(record.value)
            elif record.key is not None and record.key[:1] == INSTANCE:
                if record.value is None:
                    live.instances.pop(record.key, None)
                else:
                    live.instances[record.key] = record.value
    return live


def _history(log: Log, setup: Setup, live: _Live) -> dict[TopicPartition, tuple[int, int]]:
    """What was taken in of each partition; refused unless all of it is still there."""
    names, found = setup.names, dict[TopicPartition, tuple[int, int]]()
    for number, last in live.last.items():
        taken = {setup.input: last.source, names.orders: last.orders}
        if setup.read_reply is not None:
            taken[names.replies] = last.replies
        for topic, end in taken.items():
            place = TopicPartition(topic, number)
            start = log.start(place) or 0
            if start and topic != names.orders:
                raise ConfigurationError(
                    f"{topic}-{number} starts at {start}: what stood before is not retained, and "
                    "history without its beginning shows nothing. Raise its retention (for the "
                    "inbox: inbox_retention_hours) before the next incident"
                )
            found[place] = (start, max(start, end))
    return found


def _told(
    log: Log, app: App, names: Names, shadow: Sent
) -> tuple[int, tuple[list[str], list[str], list[str]], list[str]]:
    """How many commands are the same; those that are gone, new, altered; what is not compared."""
    live, notes = Sent(), list[str]()
    for topic in app.commands:
        info = log.topics().get(topic)
        if info is None:
            continue
        spans = bounds(log, info)
        if any(start for start, _ in spans.values()):
            notes.append(f"{topic} no longer holds its first records: its commands seem to be new")
        for records in read_once(log, spans):
            for record in records:
                headers, id = dict(record.headers), id_of(record.headers)
                ours = headers.get(PROCESS_MANAGER) == names.process_manager.encode()
                if id is not None and ours:
                    live.setdefault(id, digest(record))
    both = live.keys() & shadow.keys()
    altered = sorted(id for id in both if live[id] != shadow[id])
    gone, new = sorted(live.keys() - both), sorted(shadow.keys() - both)
    return len(both) - len(altered), (gone, new, altered), notes


def _compared(
    process_manager: str,
    records: int,
    live: Mapping[bytes, bytes],
    shadow: Mapping[bytes, bytes],
    told: tuple[int, tuple[list[str], list[str], list[str]], Sequence[str]],
) -> Compared:
    same, (gone, new, altered), notes = told
    changed, count = list[Changed](), 0
    keys = sorted(live.keys() | shadow.keys())
    for key in keys:
        here, there = _snapshot(live.get(key)), _snapshot(shadow.get(key))
        if _view(here) != _view(there):
            count += 1
            if len(changed) < MOST_TOLD:
                changed.append(Changed(key[len(INSTANCE) :].decode(), here, there))
    return Compared(
        process_manager=process_manager,
        records=records,
        instances=len(keys),
        changed=tuple(changed),
        changed_in_all=count,
        commands=same,
        gone=tuple(gone),
        new=tuple(new),
        altered=tuple(altered),
        notes=tuple(notes),
    )


def _snapshot(record: bytes | None) -> Snapshot | None:
    return None if record is None else snapshot(load_instance(record))


def _view(told: Snapshot | None) -> Any:
    """What does not depend on when it was tried."""
    if told is None:
        return None
    return told.condition, told.state, told.works_on, told.backlog, sorted(told.timers)
