"""Processes that are measured from outside: CPU, memory, cores; started, ended, killed."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def pids_of(pid: int) -> list[int]:
    """A process and all below it."""
    found = [pid]
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += pids_of(int(child))
    except OSError:
        pass
    return found


def cpu_seconds(pid: int) -> float:
    """What a process and all below it have used so far."""
    total = 0
    for each in pids_of(pid):
        total += _ticks(Path(f"/proc/{each}/stat"))
    return total / _TICKS


def _ticks(stat: Path) -> int:
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def peak_mib(pid: int) -> float:
    """The most memory that a process and all below it ever had resident, in MiB."""
    return _mib(pid, "VmHWM")


def _mib(pid: int, what: str) -> float:
    found = 0
    for each in pids_of(pid):
        try:
            lines = Path(f"/proc/{each}/status").read_text().splitlines()
        except OSError:
            continue
        found += next((int(x.split()[1]) for x in lines if x.startswith(what)), 0)
    return found / 1024


def pin(pid: int, cores: set[int]) -> None:
    """Puts all threads of a process on these cores."""
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            os.sched_setaffinity(int(task.name), cores)
        except ProcessLookupError:
            continue


class Child:
    """A process of a peer.

    Args:
        command: its command line.
        log: where its output goes.
        cores: those it may use.
        environment: more variables.
    """

    def __init__(
        self, command: Sequence[str], log: Path, cores: set[int], environment: dict[str, str]
    ) -> None:
        self.log, self.began = log, time.time()
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, cores)  # children inherit it
        try:
            with log.open("ab") as output:
                self._process = subprocess.Popen(
                    command,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={**os.environ, **environment},
                )
        finally:
            os.sched_setaffinity(0, mine)
        self.pid = self._process.pid
        self.peak = self.cpu = 0.0

    def used(self) -> float:
        """CPU seconds so far."""
        return cpu_seconds(self.pid)

    def used_by_main(self) -> float:
        """CPU seconds of its main thread so far."""
        return _ticks(Path(f"/proc/{self.pid}/task/{self.pid}/stat")) / _TICKS

    def resident(self) -> float:
        """MiB that it has resident now."""
        return _mib(self.pid, "VmRSS")

    def anonymous(self) -> float:
        """MiB of that which are its own, no file's pages."""
        return _mib(self.pid, "RssAnon")

    def check(self) -> None:
        """Raises RuntimeError if it has ended."""
        if self._process.poll() is not None:
            raise RuntimeError(f"a peer ended with {self._process.returncode}:\n{self.tail()}")

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1_500:]

    def stop(self, seconds: float = 40) -> None:
        """SIGTERM, then SIGKILL; keeps what it used."""
        if self._process.poll() is None:
            self.peak, self.cpu = peak_mib(self.pid), cpu_seconds(self.pid)
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """SIGKILL."""
        os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
