"""Child processes and restart strategies (OTP's words): one worker, one process.

Rule: a worker that ends is restarted by its own process manager's budget; a process manager that
gives up takes its own workers down, and no other's.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

EXIT_STOPPED = 70
"""A worker's exit code when its process manager stopped itself."""

_POLL_SECONDS = 0.05
_FIRST_BACKOFF_SECONDS, _LONGEST_BACKOFF_SECONDS = 0.1, 10.0


class Restart(StrEnum):
    """When an ended worker is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Spec(Struct, frozen=True):
    """One worker: which process manager, in which role, under which stable name."""

    process_manager: str
    role: str
    name: str


class Policy(Struct, frozen=True):
    """The restart strategy: at most `max_restarts` within `within_s` seconds, per PM."""

    restart: Restart = Restart.PERMANENT
    max_restarts: int = 10
    within_s: float = 60.0
    shutdown_timeout_s: float = 30.0


class _Child:
    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.process: subprocess.Popen[bytes] | None = None
        self.start_at = 0.0
        self.backoff = _FIRST_BACKOFF_SECONDS
        self.started = 0.0
        self.done = False

    def forget(self) -> None:
        """The process has ended: its pipe is closed."""
        if self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None


class Supervisor:
    """Starts workers, restarts them, ends them.

    Args:
        specs: the workers.
        command: the command line of a worker. Its standard input is a pipe that the supervisor
            holds open: a worker that reads its end knows that its supervisor is gone.
        policy: the restart strategy.
        told: hears one line for each thing worth telling.
        environment: what the workers find in theirs beside what this process has in its own.
        log_dir: where the output of each worker goes, appended to a file of its name; None is
            the output of this process.
    """

    def __init__(
        self,
        specs: Sequence[Spec],
        command: Callable[[Spec], Sequence[str]],
        policy: Policy,
        told: Callable[[str], None],
        *,
        environment: Mapping[str, str] = {},
        log_dir: Path | None = None,
    ) -> None:
        self._children = [_Child(spec) for spec in specs]
        self._command, self._policy, self._told = command, policy, told
        self._environment, self._log_dir = environment, log_dir
        self._restarts: dict[str, deque[float]] = {}
        self._stopping = False
        self.stopped: dict[str, str] = {}

    def run(self) -> dict[str, str]:
        """Supervises until told to stop, or until no process manager is left.

        Returns:
            Process managers that gave up, with the reason.
        """
        while not self._stopping:
            self.turn()
            if self.is_over and self._policy.restart is not Restart.TEMPORARY:
                break
            time.sleep(_POLL_SECONDS)
        self.end()
        return self.stopped

    @property
    def is_over(self) -> bool:
        """Whether no worker runs or will run again."""
        return all(self._is_over(each) for each in self._children)

    def stop(self) -> None:
        """Asks `run` to end all workers and return; safe in a signal handler."""
        self._stopping = True

    def turn(self) -> None:
        """Starts what is to be started, takes note of what ended."""
        for child in self._children:
            if self._is_over(child):
                continue
            if child.process is None:
                if time.monotonic() >= child.start_at:
                    self._start(child)
            elif child.process.poll() is not None:
                self._ended(child, child.process.returncode)

    def pids(self) -> dict[str, int]:
        """Worker name to process id, of those that run."""
        return {
            f"{each.spec.process_manager}/{each.spec.role}/{each.spec.name}": each.process.pid
            for each in self._children
            if each.process is not None and each.process.poll() is None
        }

    def end(self) -> None:
        """Ends all workers: politely, then by force after the shutdown timeout."""
        self._end(self._children)

    def _is_over(self, child: _Child) -> bool:
        return child.done or child.spec.process_manager in self.stopped

    def _start(self, child: _Child) -> None:
        with ExitStack() as stack:
            output = None
            if self._log_dir is not None:
                path = self._log_dir / f"{child.spec.role}-{child.spec.name}.log"
                output = stack.enter_context(path.open("ab"))
            child.process = subprocess.Popen(
                self._command(child.spec),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        child.started = time.monotonic()

    def _ended(self, child: _Child, code: int) -> None:
        child.forget()
        spec, now = child.spec, time.monotonic()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._told(f"{spec.process_manager} {spec.role} {spec.name}: ended, {how}")
        restart = self._policy.restart
        if restart is not Restart.PERMANENT and code == 0:
            child.done = True
            return
        if restart is Restart.TEMPORARY:
            self._give_up(spec, f"{spec.role} {spec.name} ended ({how}); it is {restart}")
            return
        recent = self._restarts.setdefault(spec.process_manager, deque())
        recent.append(now)
        while recent and now - recent[0] > self._policy.within_s:
            recent.popleft()
        if len(recent) > self._policy.max_restarts:
            self._give_up(
                spec,
                f"more than {self._policy.max_restarts} restarts in {self._policy.within_s:.0f} s, "
                f"the last: {spec.role} {spec.name} ended, {how}",
            )
            return
        if now - child.started > self._policy.within_s:
            child.backoff = _FIRST_BACKOFF_SECONDS
        child.start_at = now + child.backoff
        child.backoff = min(child.backoff * 2, _LONGEST_BACKOFF_SECONDS)

    def _give_up(self, spec: Spec, why: str) -> None:
        self.stopped[spec.process_manager] = why
        self._told(f"{spec.process_manager} stopped: {why}")
        self._end(
            [each for each in self._children if each.spec.process_manager == spec.process_manager]
        )

    def _end(self, children: Sequence[_Child]) -> None:
        running = [each.process for each in children if each.process is not None]
        for process in running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        until = time.monotonic() + self._policy.shutdown_timeout_s
        for process in running:
            try:
                process.wait(max(until - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for each in children:
            each.forget()


def worker_command(app: str, *options: str) -> Callable[[Spec], Sequence[str]]:
    """The command line of `pmstream worker`, which runs one worker in its own process."""

    def command(spec: Spec) -> Sequence[str]:
        return [
            sys.executable,
            "-m",
            "pmstream",
            "worker",
            app,
            spec.process_manager,
            spec.role,
            spec.name,
            *options,
        ]

    return command


def end_with_parent(stop: Callable[[], None], grace_s: float) -> None:
    """In a worker: calls `stop` when the supervisor's pipe closes, then ends the process.

    Args:
        stop: asks the worker to drain.
        grace_s: how long it may take before the process ends itself.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        stop()
        time.sleep(grace_s)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="supervisor-watch").start()
