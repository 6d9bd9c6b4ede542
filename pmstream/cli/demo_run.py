"""The demo's course: topics, workers, bank and loader; the kills; how far it is, until it is done.

Rule: whatever happens, the processes that were started are ended.
"""

import os
import random
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct

from pmstream.cli.demo_cast import PLAIN, Cast
from pmstream.cli.demo_check import unhandled
from pmstream.cli.demo_load import TRANSFERS, Loader
from pmstream.cli.demo_topics import PARTITIONS
from pmstream.errors import PmstreamError
from pmstream.examples.bank import COMMANDS, EVENTS, GROUP, MEMBER
from pmstream.runtime.child import Spec
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.store import INSTANCE
from pmstream.runtime.supervisor import Policy, Supervisor, worker_command

NO_PROGRESS_SECONDS = 120.0
"""The demo fails when nothing has moved for so long."""

SESSION_TIMEOUT_MS = 6_000
"""The brokers' lowest: a worker that dies for good is noticed soon."""

_CHUNK, _LAG_SECONDS, _QUIET_SECONDS = 5_000, 1.0, 1.0


class Plan(Struct, frozen=True):
    """What the demo is to do: so many transfers, instances workers and kills.

    `rate` is of transfers a second; 0 is as fast as it goes. `cast` tells by whom.
    """

    transfers: int
    workers: int
    kills: int
    rate: int
    seed: int
    cast: Cast = PLAIN


class Progress(Struct, frozen=True, kw_only=True):
    """How far it is.

    Attributes:
        seconds: since the first transfer was sent.
        total: transfers in all.
        sent: handed to Kafka.
        started: whose instance was seen in the changelog.
        completed: whose instance has ended.
        kills: workers killed so far.
        lags: offsets that router, instances and bank have before them, roughly.
    """

    seconds: float
    total: int
    sent: int
    started: int
    completed: int
    kills: int
    lags: dict[str, int]


class Show:
    """Who watches; this one looks away."""

    def say(self, text: str) -> None:
        """Hears one line of what happens."""

    def progress(self, progress: Progress) -> None:
        """Hears, several times a second, how far it is."""

    def close(self) -> None:
        """Hears no more."""


class Stuck(PmstreamError):
    """Nothing has moved for NO_PROGRESS_SECONDS, or a process manager gave up."""


def supervise(
    plan: Plan,
    directory: Path,
    bank_command: Sequence[str],
    bootstrap_servers: str,
    told: Callable[[str], None],
) -> Supervisor:
    """A supervisor of the demo's processes: one router, the instances workers, the bank."""
    manager = plan.cast.names.process_manager
    worker = worker_command(plan.cast.path)
    bank = Spec("accounts", "service", MEMBER)
    specs = [
        bank,
        Spec(manager, "router", "router-0"),
        *(Spec(manager, "instances", f"instances-{n}") for n in range(plan.workers)),
    ]
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    return Supervisor(
        specs,
        lambda spec: bank_command if spec is bank else worker(spec),
        Policy(max_restarts=plan.kills + 10),
        told,
        environment={
            "PMSTREAM_BOOTSTRAP_SERVERS": bootstrap_servers,
            "PMSTREAM_STATE_DIR": str(directory / "state"),
            "PMSTREAM_SESSION_TIMEOUT_MS": str(SESSION_TIMEOUT_MS),
        },
        log_dir=logs,
    )


class Watch:
    """Counts, by a plain reader of the changelog, how many instances began and ended."""

    def __init__(self, log: Log, clock: Clock, cast: Cast) -> None:
        self._log, self._clock, self._cast = log, clock, cast
        self._reader, changelog = log.reader(), cast.names.changelog
        self._reader.assign({TopicPartition(changelog, n): 0 for n in range(PARTITIONS)})
        self.begun: set[bytes] = set()
        self.ended: set[bytes] = set()
        self.lags: dict[str, int] = {}
        self._lags_at = 0.0

    def turn(self) -> None:
        """Reads on; asks for the lags from time to time."""
        for record in self._reader.read(_CHUNK, 0.1):
            if record.key is not None and record.key[:1] == INSTANCE:
                is_over = self._cast.is_over(record.value)
                (self.ended if is_over else self.begun).add(record.key)
        if self._clock.monotonic() >= self._lags_at:
            self.ask_lags()
            self._lags_at = self._clock.monotonic() + _LAG_SECONDS

    def ask_lags(self) -> None:
        """Brings `lags` up to date."""
        names = self._cast.names
        self.lags = {
            "router": self._lag(names.group("router"), TRANSFERS, EVENTS),
            "instances": self._lag(names.group("instances"), names.inbox),
            "bank": self._lag(GROUP, COMMANDS),
        }

    def _lag(self, group: str, *topics: str) -> int:
        places = [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)]
        stands = self._log.last_committed(group, places)
        lag = 0
        for each in places:
            end = self._log.end(each, stable=True) or 0
            position = stands[each].position if each in stands else 0
            lag += max(end - position - 1, 0)  # the last offset is the mark of a transaction's end
        return lag

    def close(self) -> None:
        """Frees the reader."""
        self._reader.close()


class Killer:
    """Kills instances workers with SIGKILL, spread over the run."""

    def __init__(self, plan: Plan, supervisor: Supervisor, told: Callable[[str], None]) -> None:
        self._plan, self._supervisor, self._told = plan, supervisor, told
        self._chance = random.Random(plan.seed)
        self.kills = 0

    def turn(self, completed: int) -> None:
        """Kills one when its time has come: at i/(K+1) of all transfers."""
        plan = self._plan
        at = plan.transfers * (self.kills + 1) / (plan.kills + 1)
        if self.kills == plan.kills or completed < at:
            return
        pids = {name: pid for name, pid in self._supervisor.pids().items() if "/instances/" in name}
        if not pids:
            return  # all are being restarted
        name = self._chance.choice(sorted(pids))
        os.kill(pids[name], signal.SIGKILL)
        self.kills += 1
        self._told(f"killed {name.rpartition('/')[2]} (SIGKILL, process {pids[name]})")


class Course:
    """One run, from the first process started to the last transfer completed."""

    def __init__(
        self,
        plan: Plan,
        log: Log,
        clock: Clock,
        supervisor: Supervisor,
        show: Show,
    ) -> None:
        self._plan, self._log, self._clock = plan, log, clock
        self._supervisor, self._show = supervisor, show
        self._sent = 0
        self._names = plan.cast.names
        self._watch = Watch(log, clock, plan.cast)
        self._killer = Killer(plan, supervisor, show.say)
        self._began = clock.monotonic()
        self._last: object = None
        self._moved = self._began

    def await_members(self) -> None:
        """Starts the processes, and waits until each has joined its group. Raises Stuck."""
        wanted = {
            GROUP: 1,
            self._names.group("router"): 1,
            self._names.group("instances"): self._plan.workers,
        }
        while wanted:
            self._supervisor.turn()
            self._check_moving(self.progress())
            joined = {group: len(self._log.members(group)) for group in wanted}
            wanted = {group: n for group, n in wanted.items() if joined[group] < n}
            self._clock.sleep(0.1)
        self._began = self._clock.monotonic()

    def run(self, loader: Loader) -> Progress:
        """Runs to the end. Raises Stuck."""
        try:
            while True:
                self._supervisor.turn()
                loader.turn()
                self._sent = loader.sent
                self._watch.turn()
                progress = self.progress()
                self._killer.turn(progress.completed)
                self._show.progress(progress)
                if progress.completed == progress.total and self._is_quiet():
                    self._watch.ask_lags()
                    progress = self._progress(progress.seconds)
                    self._show.progress(progress)
                    return progress
                self._check_moving(progress)
        finally:
            self._watch.close()

    def progress(self) -> Progress:
        """How far it is."""
        return self._progress(self._clock.monotonic() - self._began)

    def _progress(self, seconds: float) -> Progress:
        watch = self._watch
        return Progress(
            seconds=seconds,
            total=self._plan.transfers,
            sent=self._sent,
            started=len(watch.begun | watch.ended),
            completed=len(watch.ended),
            kills=self._killer.kills,
            lags=watch.lags,
        )

    def _is_quiet(self) -> bool:
        """Nothing is left to handle: what comes too often would have come by now."""
        if self._killer.kills < self._plan.kills:
            return False
        todo: dict[str, tuple[str, ...]] = {
            self._names.group("router"): (TRANSFERS, EVENTS),
            self._names.group("instances"): (self._names.inbox,),
            GROUP: (COMMANDS,),
        }
        try:
            return not any(
                unhandled(self._log, self._clock, group, sources, _QUIET_SECONDS)
                for group, sources in todo.items()
            )
        except Unavailable:
            return False  # a transaction is still open

    def _check_moving(self, progress: Progress) -> None:
        gave_up = [f"{name} gave up: {why}" for name, why in self._supervisor.stopped.items()]
        if gave_up:
            raise Stuck("; ".join(gave_up))
        now = self._clock.monotonic()
        moving = (progress.sent, progress.started, progress.completed, progress.lags)
        if moving != self._last:
            self._last, self._moved = moving, now
        if now - self._moved > NO_PROGRESS_SECONDS:
            lags = ", ".join(f"{who} {lag}" for who, lag in progress.lags.items())
            running = ", ".join(self._supervisor.pids()) or "nothing"
            raise Stuck(
                f"no progress for {NO_PROGRESS_SECONDS:.0f} s: {progress.sent} sent, "
                f"{progress.started} started, {progress.completed} of {progress.total} completed; "
                f"offsets to handle: {lags}; running: {running}"
            )
