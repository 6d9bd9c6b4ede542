"""The simulated cluster: topics, processes on machines, and what must hold after every action.

Rule: nothing here is left to chance; a script of actions always does the same.
"""

from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path

from pmstream.app import Names
from pmstream.errors import Stopped
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import Committed, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Again, LogError, Unavailable
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.memory.hooks import Injection
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from pmstream.runtime.sources import Note, dump_note
from tests.simulation.archive import Archive, demand
from tests.simulation.author import (
    APP,
    COMMANDS,
    CONFIRM_SECONDS,
    FOR_EVER,
    HALTS,
    MANAGER,
    SOURCE,
    author,
    make_app,
)
from tests.simulation.process import Disks, Killed, Process
from tests.simulation.shape import Shape, settings
from tests.simulation.stores import check_running, check_store

ROLES = {"r": ROUTER, "i": INSTANCES}

LEGITIMATE = {
    # what a worker may say as it ends, while there are faults: how the coverage calls it
    "another process uses transactional.id": "ended: fenced twice",
    "FENCED_INSTANCE_ID": "ended: replaced",
    "was refused 3 times": "ended: refused three times",
    "has not moved for": "ended: restore stalled",
    f"Oops: {HALTS}": "ended: halted",
}


class Cluster:
    """Everything a schedule acts on.

    Args:
        shape: how large.
        root: for the disks.
        script: the actions to come; a suspended process lets some of them happen.
        act: performs one action.
    """

    def __init__(
        self, shape: Shape, root: Path, script: list[str], act: Callable[["Cluster", str], None]
    ) -> None:
        self.shape, self._act = shape, act
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock, transaction_timeout_ms=shape.timeout * 1_000)
        self.names = Names(APP, MANAGER)
        self.archive = Archive(self.log, self.names, self.clock)
        self.answered: Counter[int] = Counter()
        self.disks = Disks(root, lambda disk, name: disk / APP / MANAGER / name)
        self.script = deque(script)
        self.seen: Counter[str] = Counter()
        self.wall = 0.0
        self.cleaned: list[int] = []
        self.events = 0
        self.healing = False
        self._current: Process | None = None
        self.processes: dict[str, Process] = {}
        for kind, count in (("r", shape.routers), ("i", shape.workers)):
            for number in range(count):
                label = f"{kind}{number}"
                self.processes[label] = Process(label, label, ROLES[kind], "a")
        self._tick = self.log.hooks.tick
        self.log.hooks.tick = self._called
        self._take = self.log.hooks.take
        self.log.hooks.take = self._planned  # type: ignore[method-assign]
        author().guard = self._guard
        author().healed, author().lenient = False, shape.backlog < 100
        author().backlog_limit = shape.backlog
        author().dispatch = "confirm" if shape.confirm else "send"
        author().confirm_timeout = CONFIRM_SECONDS
        author().completed_for = FOR_EVER if shape.completed else 0
        self._make_topics()

    def _make_topics(self) -> None:
        names, shape = self.names, self.shape
        retention = {"cleanup.policy": "compact", "delete.retention.ms": f"{shape.delete}000"}
        self.log.create_topics(
            [
                TopicSpec(SOURCE, shape.sources),
                TopicSpec(COMMANDS, 2),
                TopicSpec(names.inbox, shape.inbox),
                TopicSpec(names.changelog, shape.inbox, retention),
                TopicSpec(names.orders, shape.inbox),
                TopicSpec(names.dead_letters, 1),
                TopicSpec(names.replies, shape.inbox),
            ]
        )
        origin = Committed(0, dump_note(Note("ensure", self.log.topics()[SOURCE].id)))
        places = [TopicPartition(SOURCE, number) for number in range(shape.sources)]
        self.log.set_positions(names.group(ROUTER), dict.fromkeys(places, origin))

    # Processes

    def is_locked(self, process: Process) -> bool:
        """Whether another process holds its state directory."""
        return any(
            each.worker and (each.name, each.host) == (process.name, process.host)
            for each in self.processes.values()
        )

    def start(self, process: Process) -> bool:
        """Starts a process that is down; False if it does not come up."""

        def probe(step: str) -> None:
            self.seen[f"step {step}"] += 1
            process.snap(step, self._others)

        if self.is_locked(process):
            return False
        current, self._current = self._current, process
        try:
            worker = make_worker(
                make_app(),
                MANAGER,
                process.role,
                process.name,
                self.log,
                settings(self.disks.root / process.host, self.shape),
                self.clock,
                self._told,
                probe,
            )
        except LogError:
            self.seen["start failed"] += 1
            return False
        finally:
            self._current = current
        process.started(worker, lambda: self._look(process))
        return True

    def turn(self, process: Process) -> bool:
        """One turn of a process; False if it cannot take one."""
        worker = process.worker
        if worker is None or process.frozen or process.busy:
            return False
        current, self._current, process.busy = self._current, process, True
        try:
            worker.turn()
        except Killed:
            self.seen["killed in a turn"] += 1
            self.crash(process)
        except (Stopped, Again, Unavailable) as error:
            self._ended(process, error)
        finally:
            self._current, process.busy = current, False
        return True

    def crash(self, process: Process) -> None:
        """SIGKILL, also of a process that is suspended in mid-turn."""
        if process.worker is not None:
            self._count(process)
            process.crash()
            self.disks.keep_copy(process)

    def stop(self, process: Process) -> None:
        """A polite end: what is staged is committed, all is closed."""
        if process.worker is None or process.busy:
            return
        current, self._current, process.busy = self._current, process, True
        try:
            process.worker._commit()
        except Killed:
            self.crash(process)
        except (Stopped, Again, Unavailable) as error:
            self._ended(process, error)
        finally:
            self._current, process.busy = current, False
        self._count(process)
        process.end()
        self.disks.keep_copy(process)

    def _ended(self, process: Process, error: Exception) -> None:
        why = [name for text, name in LEGITIMATE.items() if text in str(error)]
        if isinstance(error, LogError):
            why = ["ended: no producer"]
        demand(why, f"{process.label} ended: {type(error).__name__} {error}")
        self.seen[why[0]] += 1
        self._count(process)
        process.end()
        self.disks.keep_copy(process)

    def _others(self, actions: int) -> None:
        """The script goes on while the current process is suspended."""
        current, self._current = self._current, None
        self.seen["suspended"] += 1
        for _ in range(actions):
            if self.script:
                self._act(self, self.script.popleft())
        self._current = current

    def _called(self) -> None:
        """The passing of the brokers' time before each call of the log; traps count them."""
        self._tick()
        current = self._current
        if current is not None and current.busy and (current.traps or current.worker is None):
            if current.restoring:
                current.snap("restoring", self._others)
            current.snap("", self._others)

    def _planned(self, call: str, who: str) -> Injection | None:
        """Faults that were injected are for processes, never for this simulation's own calls."""
        return None if self._current is None else self._take(call, who)

    # What must hold

    def _guard(self, callback: str) -> None:
        current = self._current
        if current is None or not current.transaction_open:
            return
        ahead = callback == "interested" and current.reads_ahead  # ADR 17
        demand(ahead, f"I5: {callback} runs inside a transaction")

    def check(self) -> None:
        """I1: each store equals the fold of what is committed, up to its checkpoint."""
        for process in self.processes.values():
            stage = process.stage
            for owned in stage._owned.values() if stage is not None else ():
                if owned.store is not None:
                    often = self.events % 4 == 0
                    self.seen[check_store(process, owned, self.archive, often=often)] += 1

    def step_clock(self, seconds: float) -> None:
        """The wall clock steps."""
        self.archive.book.look()
        self.clock.step(seconds)
        self.wall += seconds

    # What was reached

    def _told(self, what: str, _partition: int, text: str) -> None:
        if what == "running":
            what = "restored warm" if text.startswith("0 ") else "restored from the changelog"
        self.seen[what] += 1

    def _look(self, process: Process) -> None:
        stage = process.stage
        for owned in stage._owned.values() if stage is not None else ():
            check_running(process, owned)
            restore = owned.restore
            if restore is not None:
                self.seen["mismatch waited for"] += restore._odd_since is not None
                self.seen["committed position pending"] += restore._pending_since is not None

    def _count(self, process: Process) -> None:
        """Adds up what a process did, once, as it goes."""
        worker = process.worker
        if worker is None:
            return
        report = worker.report
        self.seen["commits"] += report.commits
        self.seen["aborted, done again"] += report.aborts
        self.seen["producer rebuilt"] += report.rebuilds
        if process.stage is not None:
            self.seen["takeovers by instances"] += process.stage._takeover.count
            for part in process.stage.partitions:
                for outcome, count in part.counts.items():
                    self.seen[f"outcome {outcome}"] += count
        else:
            positions = worker.stage._positions  # type: ignore[attr-defined]
            self.seen["takeovers by routers"] += positions._takeover.count

    def close(self) -> None:
        """Frees all."""
        self._current = None
        for process in self.processes.values():
            self._count(process)
            process.end()
