"""run(app): a whole app in memory, for authors' tests: routers, instances workers, real stores.

Rule: it is the production code that runs, on a log in memory. The clock stands still unless the
test lets time pass, and a worker can be killed at any step of a commit.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core.instance import load_instance
from pmstream.core.process import bind
from pmstream.core.state import load_state
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate import starts, topics
from pmstream.operate.changelog import fold
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import Headers, Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROLES, ROUTER, make_worker
from pmstream.runtime.store import instance_key
from pmstream.runtime.worker import IDLE_SECONDS, Worker
from pmstream.testing.killed import Killed, leave_as_killed
from pmstream.testing.services import Service, Services, flush

PARTITIONS = 3
"""Of every topic of a run."""

QUIET_TURNS = 40
"""So many turns in which nothing is written: it is settled."""

MOST_TURNS = 20_000
"""It never settles, then."""


class _Still(VirtualClock):
    """Who waits lets sessions and patience pass, not the time of day."""

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self.step(-seconds)


class Running:
    """An app that runs.

    Args:
        app: what runs.
        directory: for the stores.
        service: does the commands; None: nobody does.
        settings: overrides of Settings.

    Attributes:
        log: the cluster.
        now: of the clock, milliseconds since the epoch.
        kills: workers killed so far by `kill_at`.
    """

    _patience = IDLE_SECONDS  # of a turn that finds nothing to do

    def __init__(
        self, app: App, directory: Path, service: Service | None = None, **settings: Any
    ) -> None:
        self.log: MemoryLog
        self.log, self._clock = self._world()
        self._app, self._codec = app, Codec(app)
        if any(manager.keyed for manager in app.process_managers.values()):
            raise ConfigurationError(
                "run() and chaos() write events without keys: give them the app without the option "
                "keyed; what the process manager does is the same"
            )
        self._settings = Settings(
            **{"state_dir": directory, "inbox_partitions": PARTITIONS, **settings}
        )
        plan = topics.plan(app, self.log, self._settings, create_missing=True)
        if plan.faults:
            raise ConfigurationError(*plan.faults)
        topics.carry_out(plan, self.log)
        starts.set_starts(app, self.log, starts.find_starts(app, self.log))
        self._own = [each.spec.name for each in topics.wanted(app, self.log, self._settings)]
        self._writer = self.log.writer()
        self._kill: dict[str, int] = {}
        self.kills = 0
        self._services = Services(self.log, self._codec, self._places(*app.commands), service)
        self._workers: dict[tuple[str, str], Worker] = {}
        for manager in app.process_managers:
            self._start(manager)

    @property
    def now(self) -> int:
        """The time, milliseconds since the epoch."""
        return int(self._clock.now())

    # What happens

    def produce(self, *events: Struct, topic: str = "", headers: Headers = ()) -> None:
        """Writes events in order, each into its topic; name that if several take its type."""
        for event in events:
            where = topic or self._home(event)
            of_type = self._codec.event_headers(where, type(event))
            value = self._codec.encode_event(where, event)
            self._writer.produce(where, value, None, (*of_type, *headers), 0)
        flush(self._writer)

    def reply(self, command: Any, *, accepted: bool = True, reason: Any = None) -> None:
        """Answers the last such command, as its service would; with a reason if it is rejected."""
        self._services.reply(command, accepted=accepted, reason=reason)

    def settle(self) -> None:
        """Lets all work until nothing moves; the time of day stands still.

        Raises:
            Stopped: a process manager stopped; the others can go on.
        """
        quiet, before = 0, self._marks()
        for _ in range(MOST_TURNS):
            self._turn()
            marks = self._marks()
            quiet, before = (quiet + 1 if marks == before else 0), marks
            if quiet >= QUIET_TURNS:
                return
        raise AssertionError(f"it does not settle in {MOST_TURNS} turns: does it ask itself?")

    def advance(self, time: timedelta) -> None:
        """Settles; then time passes, and what comes due happens when it is due. Raises Stopped."""
        until = self.now + time // timedelta(milliseconds=1)
        self.settle()
        while self.now < until:
            loads = [each.stage.load().due_in_ms for each in self._workers.values()]
            due = min((each for each in loads if each is not None), default=until)
            self._clock.step(max(min(due, until - self.now), 1) / 1000)
            self.settle()

    def restart(self, *, kill: bool = False) -> None:
        """Ends all workers and starts them again; `kill`: as SIGKILL does, nothing is flushed."""
        for manager in {manager for manager, _ in self._workers}:
            self._end(manager, kill=kill)
            self._start(manager)

    def kill_at(self, step: str, times: int = 1) -> None:
        """Some worker dies at that step of a commit (the so-and-so-many-th), and is restarted."""
        self._kill[step] = times

    def read_again(self) -> None:
        """All events are read once more, as after positions were moved back: none counts twice."""
        for manager in {manager for manager, _ in self._workers}:
            self._end(manager, kill=False)
            group = Names(self._app.name, manager).group(ROUTER)
            for member in self.log.members(group):
                self.log.lose(group, member)
            known = self.log.last_committed(group, self._places(*self._app.events))
            origin = {place: each._replace(position=0) for place, each in known.items()}
            self.log.set_positions(group, origin)
            self._start(manager)

    # What came of it

    def commands(self, kind: type[Struct] | None = None) -> list[Any]:
        """All commands so far (of one type), in their order within a process."""
        sent = [each for _, each, _ in self._services.sent]
        return [each for each in sent if kind is None or isinstance(each, kind)]

    @property
    def processes(self) -> set[str]:
        """UUIDs of all processes that sent a command."""
        return {uuid for uuid, _, _ in self._services.sent}

    def commands_of(self, process_uuid: str) -> list[Any]:
        """All commands of one process, in order."""
        return [each for uuid, each, _ in self._services.sent if uuid == process_uuid]

    def state(self, process_manager: str, process_uuid: str) -> Any:
        """A process' state; None when there is no such instance."""
        found = fold(self.log, Names(self._app.name, process_manager))
        _, value = found.get(instance_key(process_uuid), (0, b""))
        instance = load_instance(value) if value else None
        if instance is None or not instance.exists:
            return None
        callbacks = bind(self._app.manager(process_manager))
        return load_state(instance.state, callbacks, instance.state_version)

    def dead_letters(self, process_manager: str) -> list[Record]:
        """Records that could not be decoded, or were parked by `interested`."""
        topic = Names(self._app.name, process_manager).dead_letters
        reader, found = self.log.reader(), []
        reader.assign(dict.fromkeys(self._places(topic), 0))
        while records := reader.read(1_000, 0):
            found += records
        reader.close()
        return found

    def close(self) -> None:
        """Ends all."""
        for manager in {manager for manager, _ in self._workers}:
            self._end(manager, kill=False)
        self._services.close()

    # How it works

    def _world(self) -> tuple[Any, Any]:
        clock = _Still()
        return MemoryLog(clock), clock

    def _start(self, manager: str) -> None:
        for role in ROLES:
            self._workers[manager, role] = make_worker(
                self._app,
                manager,
                role,
                role,
                self.log,
                self._settings,
                self._clock,
                probe=self._probe,
            )

    def _end(self, manager: str, *, kill: bool) -> None:
        for key in [key for key in self._workers if key[0] == manager]:
            worker = self._workers.pop(key)
            if kill and isinstance(worker.stage, InstancesStage):
                for store in worker.stage.stores:
                    leave_as_killed(store)
            elif not kill:
                worker.close()

    def _probe(self, step: str) -> None:
        if step in self._kill:
            self._kill[step] -= 1
            if not self._kill[step]:
                del self._kill[step]
                self.kills += 1
                raise Killed(step)

    def _turn(self) -> None:
        for (manager, _), worker in tuple(self._workers.items()):
            try:
                worker.turn(self._patience)
            except Killed:
                self._end(manager, kill=True)
                self._start(manager)
                break
            except Stopped:
                self._end(manager, kill=False)
                raise
        self._services.turn(self.produce)

    def _home(self, event: Struct) -> str:
        found = [name for name, topic in self._app.events.items() if type(event) in topic.types]
        if len(found) != 1:
            where = f"in {', '.join(found)}: say topic=" if found else "in none of the app's topics"
            raise AssertionError(f"{type(event).__name__} stands {where}")
        return found[0]

    def _places(self, *names: str) -> list[TopicPartition]:
        known = self.log.topics()
        return [
            TopicPartition(name, number)
            for name in names
            for number in range(known[name].partitions)
        ]

    def _marks(self) -> list[int | None]:
        return [self.log.end(place, stable=True) for place in self._places(*self._own)]


@contextmanager
def run(app: App, service: Service | None = None, **settings: Any) -> Iterator[Running]:
    """Runs an app in memory for as long as a `with` block lasts.

    Args:
        app: what runs; all its process managers do.
        service: does the commands, see `Service`; in confirm mode its answer is the reply.
        settings: overrides of Settings.

    Raises:
        ConfigurationError: the app's topics cannot be made as it needs them.
    """
    with tempfile.TemporaryDirectory(prefix="pmstream-run-") as directory:
        running = Running(app, Path(directory), service, **settings)
        try:
            yield running
        finally:
            running.close()
