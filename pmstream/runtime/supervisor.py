"""Child processes and restart strategies (OTP's words): one worker, one process.

Rule: a worker that ends is restarted by its own process manager's budget; a process manager that
gives up takes its own workers down, and no other's.
"""

import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from pmstream.runtime.child import Child, Spec, View

EXIT_UNREACHABLE, EXIT_BUSY = 69, 75
"""A worker's exit codes when Kafka does not answer, and when it has to wait for somebody else
(another generation is being made, another process has the state directory): tried again for ever,
on nobody's budget."""

DUMP_SIGNAL = signal.SIGUSR1
"""Makes a worker write the stacks of its threads to its log."""

_DUMP_SECONDS = 1.0

_POLL_SECONDS = 0.05


class Restart(StrEnum):
    """When an ended worker is started again."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"


class Policy(Struct, frozen=True):
    """The restart strategy: at most `max_restarts` within `within_s` seconds, per PM.

    Attributes:
        restart: which workers are started again.
        max_restarts: more than this within `within_s`, and the process manager is given up.
        within_s: see there.
        shutdown_timeout_s: how long workers may take to end politely.
        stall_timeout_s: a worker whose loop has not moved for so long is dumped and replaced.
    """

    restart: Restart = Restart.PERMANENT
    max_restarts: int = 10
    within_s: float = 60.0
    shutdown_timeout_s: float = 30.0
    stall_timeout_s: float = 120.0


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

    Attributes:
        stopped: process managers that it has given up, and why.
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
        self._children = [Child(spec) for spec in specs]
        self._command, self._policy, self._told = command, policy, told
        self._environment, self._log_dir = environment, log_dir
        self._restarts: dict[str, deque[float]] = {}
        self._stopping = False
        self._turned_at = time.monotonic()
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
        """Starts what is to be started, takes note of what ended, replaces what stands still."""
        self._turned_at = time.monotonic()
        for child in self._children:
            process = child.process
            if process is None:
                if not self._is_over(child) and time.monotonic() >= child.start_at:
                    child.start(self._command(child.spec), self._environment, self._log_dir)
                continue
            code = process.poll()
            child.listen()
            if code is not None:
                self._ended(child, code)
            elif child.kill_at is not None:
                if time.monotonic() >= child.kill_at:
                    process.kill()
            else:
                self._replace_stalled(child, process)

    def pids(self) -> dict[str, int]:
        """Worker name to process id, of those that run."""
        return {
            f"{each.spec.process_manager}/{each.spec.role}/{each.spec.name}": each.process.pid
            for each in self._children
            if each.process is not None and each.process.poll() is None
        }

    def views(self) -> list[View]:
        """Every worker as it is now; may be asked by another thread."""
        return [each.view() for each in self._children]

    @property
    def is_stopping(self) -> bool:
        """Whether it has been told to end."""
        return self._stopping

    @property
    def silence_s(self) -> float:
        """Since it last turned; may be asked by another thread."""
        return time.monotonic() - self._turned_at

    def end(self) -> None:
        """Ends all workers: politely, then by force after the shutdown timeout."""
        self._stopping = True
        self._ask_to_end(self._children)
        while any(each.process is not None for each in self._children):
            self.turn()
            time.sleep(_POLL_SECONDS)

    def _is_over(self, child: Child) -> bool:
        gone = child.done or child.spec.process_manager in self.stopped
        return (gone or self._stopping) and child.process is None

    def _ended(self, child: Child, code: int) -> None:
        spec, asked, reason = child.spec, child.kill_at is not None, child.reason
        child.forget()
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        how += f": {reason}" if reason else ""
        child.end = how
        self._told(f"{spec.process_manager} {spec.role} {spec.name}: ended, {how}")
        if asked:
            return
        if code in (EXIT_UNREACHABLE, EXIT_BUSY):
            child.start_later(self._policy.within_s)
            return
        restart = self._policy.restart
        if restart is not Restart.PERMANENT and code == 0:
            child.done = True
        elif restart is Restart.TEMPORARY:
            self._give_up(spec, f"{spec.role} {spec.name} ended ({how}); it is {restart}")
        elif self._is_too_often(spec):
            self._give_up(
                spec,
                f"more than {self._policy.max_restarts} restarts in {self._policy.within_s:.0f} s, "
                f"the last: {spec.role} {spec.name} ended, {how}",
            )
        else:
            child.start_later(self._policy.within_s)

    def _is_too_often(self, spec: Spec) -> bool:
        recent, now = self._restarts.setdefault(spec.process_manager, deque()), time.monotonic()
        recent.append(now)
        while now - recent[0] > self._policy.within_s:
            recent.popleft()
        return len(recent) > self._policy.max_restarts

    def _give_up(self, spec: Spec, why: str) -> None:
        """Stops a process manager here: asks its workers to end, and waits for none of them."""
        self.stopped[spec.process_manager] = why
        self._told(f"{spec.process_manager} stopped: {why}")
        name = spec.process_manager
        self._ask_to_end([each for each in self._children if each.spec.process_manager == name])

    def _ask_to_end(self, children: Sequence[Child]) -> None:
        for each in children:
            if each.process is not None and each.kill_at is None:
                each.process.send_signal(signal.SIGTERM)
                each.kill_at = time.monotonic() + self._policy.shutdown_timeout_s

    def _replace_stalled(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """A loop that stands still is told of, with its stacks in the worker's log, and killed."""
        now, beat = time.monotonic(), child.reports.beat_at if child.reports is not None else 0.0
        if child.dumped_at is not None:
            if now - child.dumped_at > _DUMP_SECONDS:
                process.kill()
        elif now - beat > self._policy.stall_timeout_s:
            spec = child.spec
            self._told(
                f"{spec.process_manager} {spec.role} {spec.name}: has not moved for "
                f"{now - beat:.0f} s; its stacks are in its log; it is replaced"
            )
            process.send_signal(DUMP_SIGNAL)
            child.dumped_at = now
            child.stalls += 1


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
