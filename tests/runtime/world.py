"""A whole small world for tests: a process manager, its topics, and its workers, on any log.

The process manager counts: each event of a process makes one command that carries the event's
number and the count so far. So a lost, doubled or misordered event shows in the commands.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from pmstream import App, ProcessManager, failure, routing
from pmstream.app import Names
from pmstream.config import Settings
from pmstream.core.instance import Instance
from pmstream.core.process import bind
from pmstream.core.state import load_state
from pmstream.runtime.changelog import COMMIT_KEY
from pmstream.runtime.clock import Clock, VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import Probe
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import Committed, Headers, Log, Record, TopicPartition, TopicSpec
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from pmstream.runtime.sources import Note, dump_note
from pmstream.runtime.worker import IDLE_SECONDS, Worker
from pmstream.testing.killed import leave_as_killed

SOURCE, COMMANDS = "world.events", "world.commands"


class Happened(Struct, frozen=True):
    """An event; `process` may name several, joined by commas; `what` steers the test."""

    __schema__: ClassVar[str] = "world.Happened"
    process: str
    what: str
    n: int


class Do(Struct, frozen=True):
    """A command: the event's number, and the count of events of its process so far."""

    __schema__: ClassVar[str] = "world.Do"
    process: str
    n: int
    count: int


class Count(Struct, frozen=True):
    """How many events the process has had."""

    count: int = 0


class Oops(Exception):
    """What the author's code raises when an event says so."""


ROUTES: dict[str, Callable[[list[str]], routing.Answer]] = {
    "new": routing.StartNew,
    "only": routing.ContinueExisting,
    "continue": routing.Continue,
    "stop": routing.Stop,
}


class Counter(ProcessManager[Count]):
    """Counts; what an event says decides how it fails."""

    name = "counter"
    state = Count
    healed = False
    """Once set, what failed succeeds, as after a deploy."""
    retry_delay: float = 5

    def interested(self, event: Happened) -> routing.Answer:
        """Routes by what the event says; Start unless it says otherwise."""
        if event.what == "ignore":
            return None
        if event.what == "bad route":
            raise Oops(event.what)
        route = ROUTES.get(event.what, routing.Start)
        return route(event.process.split(","))

    def handle(self, state: Count, event: Happened, metadata: Any) -> Any:
        """One command, unless the event says: fail."""
        if event.what in ("retry", "park", "skip", "halt") and not self.healed:
            raise Oops(event.what)
        return Do(process=metadata.process_uuid, n=event.n, count=state.count + 1)

    def apply(self, state: Count, event: Happened) -> Count:
        """Counts."""
        return replace(state, count=state.count + 1)

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        """Answers what the event says."""
        answers: dict[str, failure.Answer] = {
            "retry": failure.Retry(delay=self.retry_delay),
            "park": failure.Park(),
            "only": failure.Retry(delay=self.retry_delay),
        }
        what = failed.what if isinstance(failed, Happened) else ""
        return answers.get(what, failure.Stop(error) if what == "halt" else failure.Skip())


def make_app(name: str = "world", **options: Any) -> App:
    """The app, its topics named after it; options go to its process manager."""
    return App(
        name=name,
        schemas=Path(__file__).parent / "avro",
        events={f"{name}.events": [Happened]},
        commands={f"{name}.commands": {Do: "process"}},
        process_managers=[Counter(**options)],
    )


class World:
    """Topics, workers, and what they left behind.

    Args:
        log: any log.
        directory: for the stores.
        clock: the log's.
        partitions: of the inbox, or of a source topic that is read directly.
        app: see `make_app`.
        settings: overrides of Settings.
    """

    def __init__(
        self,
        log: Log,
        directory: Path,
        clock: Clock,
        partitions: int = 3,
        app: App | None = None,
        **settings: Any,
    ) -> None:
        self.log, self.clock, self.partitions = log, clock, partitions
        self.app = app or make_app()
        self.names = Names(self.app.name, "counter")
        (self.source,), (self.target,) = self.app.events, self.app.commands
        self.settings = Settings(state_dir=directory, **settings)
        self.codec = Codec(self.app)
        self.workers: dict[str, Worker] = {}
        self.told: list[tuple[str, int, str]] = []
        self.writer = log.writer()  # one: its first record waits for half a second
        # In real time all stand still while an idle one waits for a record.
        self.patience = IDLE_SECONDS if isinstance(clock, VirtualClock) else 0.01
        self._make_topics()

    def _make_topics(self) -> None:
        names, size = self.names, {"max.message.bytes": "1100000"}
        self.log.create_topics(
            [
                TopicSpec(self.source, 2),
                TopicSpec(self.target, 2),
                TopicSpec(names.inbox, self.partitions, size),
                TopicSpec(names.changelog, self.partitions, {"cleanup.policy": "compact", **size}),
                TopicSpec(names.orders, self.partitions, size),
                TopicSpec(names.dead_letters, 1),
            ]
        )
        self.start_at_origin()

    def start_at_origin(self) -> None:
        """What `topics ensure` does: the router's positions, all in one transaction."""
        topic = self.log.topics()[self.source]
        origin = Committed(0, dump_note(Note("ensure", topic.id)))
        places = [TopicPartition(self.source, number) for number in range(topic.partitions)]
        self.log.set_positions(self.names.group(ROUTER), dict.fromkeys(places, origin))

    @property
    def manager(self) -> Counter:
        """The process manager."""
        manager = self.app.manager("counter")
        assert isinstance(manager, Counter)
        return manager

    # Input

    def produce(self, *events: Happened, headers: Headers = ()) -> None:
        """Appends events to the source topic, keyed by something that is no process UUID."""
        for event in events:
            value = self.codec.encode_event(self.source, event)
            self.writer.produce(self.source, value, b"%d" % (event.n % 7), headers, partition=0)
        self.writer.flush(10)

    def count(self, process: str, numbers: Iterable[int], what: str = "go") -> None:
        """Produces plain events of one process."""
        self.produce(*(Happened(process=process, what=what, n=n) for n in numbers))

    # Workers

    def start(self, role: str, name: str, probe: Probe = lambda _step: None) -> Worker:
        """Starts a worker under a stable name."""

        def told(what: str, partition: int, text: str) -> None:
            self.told.append((what, partition, text))

        worker = make_worker(
            self.app, "counter", role, name, self.log, self.settings, self.clock, told, probe
        )
        self.workers[name] = worker
        return worker

    def start_all(self) -> None:
        """One router, one instances worker."""
        self.start(ROUTER, "router-0")
        self.start(INSTANCES, "w-0")

    def crash(self, name: str) -> None:
        """Ends a worker as SIGKILL does: nothing is closed, no transaction is ended."""
        worker = self.workers.pop(name)
        if isinstance(worker.stage, InstancesStage):
            for owned in worker.stage._owned.values():
                if owned.store is not None:
                    leave_as_killed(owned.store)

    def turn(self, turns: int = 1) -> None:
        """Lets every worker turn so often."""
        for _ in range(turns):
            for worker in list(self.workers.values()):
                worker.turn(self.patience)

    def settle(self, is_done: Callable[[], bool] | None = None, turns: int = 2_000) -> None:
        """Turns until `is_done`, or until nothing has moved for a while."""
        quiet, last = 0, self._marks()
        for _ in range(turns):
            self.turn()
            if is_done is not None and is_done():
                return
            marks = self._marks() if is_done is None else last
            quiet, last = (quiet + 1, last) if marks == last else (0, marks)
            if is_done is None and quiet > 60:
                return
        assert is_done is None, f"not done after {turns} turns: {self.told[-5:]}"

    def _marks(self) -> list[int | None]:
        names = self.names
        counts = {names.inbox: self.partitions, names.changelog: self.partitions, self.target: 2}
        places = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
        return [self.log.end(place, stable=True) for place in places]

    def close(self) -> None:
        """Closes all workers."""
        for worker in self.workers.values():
            worker.close()
        self.workers.clear()

    # What is left behind

    def read(self, topic: str) -> list[Record]:
        """Every committed record of a topic, by partition, in order."""
        reader, found = self.log.reader(), []
        places = [TopicPartition(topic, n) for n in range(self.log.topics()[topic].partitions)]
        ends = {each: self.log.end(each, stable=True) or 0 for each in places}
        reader.assign({place: self.log.start(place) or 0 for place in ends})
        while any((reader.position(place) or 0) < end for place, end in ends.items()):
            found += reader.read(1000, 0.1)
        reader.close()
        return sorted(found, key=lambda record: (record.partition, record.offset))

    def commands(self, process: str | None = None) -> list[Do]:
        """Every visible command (of one process), in order within a process."""
        records = self.read(self.target)
        found = [self.codec.decode(self.target, each.value or b"") for each in records]
        return [each for each in found if process in (None, each.process)]

    def counts(self, process: str) -> list[tuple[int, int]]:
        """(event number, count) of each visible command of a process."""
        return [(each.n, each.count) for each in self.commands(process)]

    def changelog(self) -> dict[bytes, bytes]:
        """The changelog folded by key, without commit records."""
        folded: dict[bytes, bytes] = {}
        for record in self.read(self.names.changelog):
            if record.key == COMMIT_KEY or record.key is None:
                continue
            if record.value is None:
                folded.pop(record.key, None)
            else:
                folded[record.key] = record.value
        return folded

    def stores(self) -> dict[bytes, bytes]:
        """What the running workers' stores hold, without due hints."""
        found: dict[bytes, bytes] = {}
        for worker in self.workers.values():
            if isinstance(worker.stage, InstancesStage):
                for part in worker.stage.partitions:
                    found.update(part.store.scan(b"i", b"j"))
                    found.update(part.store.scan(b"q", b"r"))
        return found

    def state_of(self, instance: Instance) -> Any:
        """The author's state."""
        return load_state(instance.state, bind(self.manager), instance.state_version)
