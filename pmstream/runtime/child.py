"""One worker as its supervisor sees it: a process that may be started again, and its pipes."""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from msgspec import Struct

from pmstream.runtime.report import VARIABLE, Reports
from pmstream.runtime.vitals import Vitals

FIRST_BACKOFF_SECONDS, LONGEST_BACKOFF_SECONDS = 0.1, 4.0
# So short that a worker which always fails uses up the usual budget (10 in 60 s) and is told of.


class Spec(Struct, frozen=True):
    """One worker: which process manager, in which role, under which stable name."""

    process_manager: str
    role: str
    name: str


class View(Struct, frozen=True):
    """A worker at one moment, for health and metrics.

    Attributes:
        spec: which one.
        runs: whether its process runs.
        done: whether it has ended and is not to be started again.
        starts, stalls: starts so far; those that replaced a loop which stood still.
        silence_s: since its loop last moved; 0 while it does not run.
        vitals: what it told last; None so far, and while it does not run.
        end: how the process before this one ended.
    """

    spec: Spec
    runs: bool
    done: bool
    starts: int
    stalls: int
    silence_s: float
    vitals: Vitals | None
    end: str

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.spec.process_manager} {self.spec.role} {self.spec.name}"


class Child:
    """A worker's process, or its absence.

    Attributes:
        spec: which worker.
        process, reports: while it runs.
        start_at: when it may be started again, as `time.monotonic` has it.
        backoff: how long the next start waits, seconds.
        started: when it was started last.
        starts, stalls: see `View`.
        done: it is not started again.
        reason: why it said that it ends.
        end: how the last one ended.
        kill_at: when it is killed, because it was asked to end.
        dumped_at: when it was told to dump its stacks.
    """

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.reports: Reports | None = None
        self.start_at = 0.0
        self.backoff = FIRST_BACKOFF_SECONDS
        self.started = 0.0
        self.done = False
        self.starts = self.stalls = 0
        self.reason = self.end = ""
        self.kill_at: float | None = None
        self.dumped_at: float | None = None

    def start(
        self, command: Sequence[str], environment: Mapping[str, str], log_dir: Path | None
    ) -> None:
        """Starts the process; `Supervisor` tells of the arguments."""
        with ExitStack() as stack:
            output = None
            if log_dir is not None:
                path = log_dir / f"{self.spec.role}-{self.spec.name}.log"
                output = stack.enter_context(path.open("ab"))
            self.reports = Reports()
            told_how = {VARIABLE: str(self.reports.write_descriptor)}
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **environment, **told_how},
                pass_fds=[self.reports.write_descriptor],
                start_new_session=True,
            )
            self.reports.started()
        self.started = time.monotonic()
        self.starts += 1

    def start_later(self, calm_s: float) -> None:
        """Waits, twice as long each time; who has lived for `calm_s` begins anew."""
        now = time.monotonic()
        if now - self.started > calm_s:
            self.backoff = FIRST_BACKOFF_SECONDS
        self.start_at = now + self.backoff
        self.backoff = min(self.backoff * 2, LONGEST_BACKOFF_SECONDS)

    def view(self) -> View:
        """How it is now; may be asked by another thread."""
        reports, runs = self.reports, self.process is not None
        return View(
            self.spec,
            runs,
            self.done,
            self.starts,
            self.stalls,
            time.monotonic() - reports.beat_at if reports is not None else 0.0,
            reports.vitals if reports is not None else None,
            self.end,
        )

    def listen(self) -> None:
        """Hears what the worker has told."""
        if self.reports is not None:
            self.reports.take()
            self.reason = self.reports.reason

    def forget(self) -> None:
        """The process has ended: its pipes are closed."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        if self.reports is not None:
            self.reports.close()
        self.process = self.reports = self.kill_at = self.dumped_at = None
        self.reason = ""
