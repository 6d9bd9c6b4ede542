"""The workers under test: supervised processes, and what can be done to them."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pmstream.app import Names
from pmstream.chaos.counter import Counting, app
from pmstream.runtime.child import Spec
from pmstream.runtime.supervisor import DUMP_SIGNAL, Policy, Supervisor

APP = "pmstream.chaos.counter:app"
NAMES = Names(app.name, Counting.name)
ROUTERS = 2
BANK = "bank"

_ABSENT = "import select, sys; select.select([0], [], [], float(sys.argv[1]))"
"""A process that is there but no worker, for so many seconds or until its supervisor ends."""

_YOUNG_SECONDS = 10.0

_COMMIT_SECONDS = 2.0
"""How long to wait for a worker that is to die within its next commit."""


class Fleet:
    """Routers, instances workers and the bank, restarted when they end.

    Args:
        workers: how many instances workers.
        directory: for state and logs.
        environment: settings of the workers, as variables.
        told: hears what happens to them.
        step: of a commit, at which workers can be killed; "any" is another one in each process.
    """

    def __init__(
        self,
        workers: int,
        directory: Path,
        environment: Mapping[str, str],
        told: Callable[[str], None],
        step: str = "any",
    ) -> None:
        self._directory, self._environment = directory, dict(environment)
        self.logs = directory / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        self._step = step
        self._absent: dict[str, float] = {}
        self._zombies: dict[subprocess.Popen[bytes], Path] = {}
        self._frozen: set[int] = set()
        self._seen: dict[int, float] = {}  # process id to when it was seen first
        manager = NAMES.process_manager
        self.specs = [Spec(manager, "router", f"router-{n}") for n in range(ROUTERS)]
        self.specs += [Spec(manager, "instances", f"instances-{n}") for n in range(workers)]
        self.specs.append(Spec(manager, BANK, f"{BANK}-0"))
        self._supervisor = Supervisor(
            self.specs,
            self._line,
            # Restarts are the point here: a worker that has lived a while is started at once.
            Policy(max_restarts=1_000, within_s=5.0, shutdown_timeout_s=30.0),
            told,
            environment={**environment, "PMSTREAM_STATE_DIR": str(self.state)},
            log_dir=self.logs,
        )

    @property
    def state(self) -> Path:
        """Where the workers keep their stores."""
        return self._directory / "state"

    @property
    def gave_up(self) -> dict[str, str]:
        """Process managers that stopped, and why."""
        return self._supervisor.stopped

    def folder(self, spec: Spec) -> Path:
        """Where one worker keeps its stores."""
        return self.state / app.name / spec.process_manager / spec.name

    def stores(self) -> list[Path]:
        """The stores that were left, those of zombies too."""
        roots = [self.state, *self._directory.glob("zombies/*")]
        found = (root.glob(f"{app.name}/{NAMES.process_manager}/*/*") for root in roots)
        return sorted(each for paths in found for each in paths if each.name.isdigit())

    def turn(self) -> None:
        """Restarts what ended, buries zombies."""
        self._supervisor.turn()
        now = time.monotonic()
        pids = self._supervisor.pids().values()
        self._seen = {pid: self._seen.get(pid, now) for pid in pids}
        for each in tuple(self._zombies):
            if each.poll() is not None:
                self._bury(each)

    def running(self) -> list[Spec]:
        """Workers that run, are not frozen and not absent."""
        now, pids = time.monotonic(), self._supervisor.pids()
        found = []
        for spec in self.specs:
            pid = pids.get(_key(spec))
            away = self._absent.get(spec.name, 0.0) > now
            if pid is not None and pid not in self._frozen and not away:
                found.append(spec)
        return found

    def signal(self, spec: Spec, number: signal.Signals) -> int | None:
        """Sends a signal; answers the process id, None when it does not run."""
        pid = self._supervisor.pids().get(_key(spec))
        if pid is not None:
            os.kill(pid, number)
        return pid

    def kill(self, spec: Spec, away: float = 0.0) -> None:
        """SIGKILL, and no start again for so many seconds."""
        if away:
            self._absent[spec.name] = time.monotonic() + away
        pid = self.signal(spec, signal.SIGKILL)
        while pid is not None and pid in self._supervisor.pids().values():
            time.sleep(0.005)

    def retire(self, spec: Spec, away: float, look: Callable[[], None]) -> None:
        """SIGTERM, and no start again for so many seconds; returns when it has ended.

        Args:
            spec: whom.
            away: as a pod is, until its successor starts.
            look: what has to go on meanwhile.
        """
        pid = self.signal(spec, signal.SIGTERM)
        while pid is not None and pid in self._supervisor.pids().values():
            look()
        # In time: its supervisor has had no turn in which to start it again.
        self._absent[spec.name] = time.monotonic() + away

    def kill_in_commit(self, spec: Spec, away: float = 0.0) -> None:
        """SIGKILL at a step of its next commit; returns when it is dead, or after a while."""
        if away:
            self._absent[spec.name] = time.monotonic() + _COMMIT_SECONDS + away
        until = time.monotonic() + _COMMIT_SECONDS
        pid = self.signal(spec, signal.SIGUSR2)
        while pid in self._supervisor.pids().values() and time.monotonic() < until:
            time.sleep(0.001)
        if away:
            self._absent[spec.name] = time.monotonic() + away

    def freeze(self, spec: Spec) -> int | None:
        """SIGSTOP; answers whom to thaw."""
        pid = self.signal(spec, signal.SIGSTOP)
        if pid is not None:
            self._frozen.add(pid)
        return pid

    def thaw(self, pid: int | None) -> None:
        """SIGCONT."""
        if pid in self._frozen:
            self._frozen.discard(pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def dump(self) -> None:
        """Lets all that have run for a while write their stacks to their logs."""
        pids, old = self._supervisor.pids(), time.monotonic() - _YOUNG_SECONDS
        for spec in self.running():
            # One that has just been started does not know the signal yet, and would die of it.
            if self._seen.get(pids.get(_key(spec), 0), old + 1) < old:
                self.signal(spec, DUMP_SIGNAL)

    def wipe(self, spec: Spec) -> None:
        """Empties a killed worker's folder before it is started again."""
        self.kill(spec)
        folder = self.folder(spec)
        for each in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(each) if each.is_dir() else each.unlink()

    def raise_zombie(self, spec: Spec) -> subprocess.Popen[bytes]:
        """A second process of the same name, with a state folder of its own."""
        number = len(list(self._directory.glob("zombies/*")))
        state = self._directory / "zombies" / str(number)
        state.mkdir(parents=True)
        with (self.logs / f"zombie-{number}-{spec.name}.log").open("ab") as output:
            made = subprocess.Popen(
                self._command(spec),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                env={**os.environ, **self._environment, "PMSTREAM_STATE_DIR": str(state)},
                start_new_session=True,
            )
        self._zombies[made] = state
        return made

    def end_zombie(self, zombie: subprocess.Popen[bytes]) -> None:
        """SIGKILL, if it has not ended by itself."""
        if zombie in self._zombies:
            zombie.kill()
            self._bury(zombie)

    def end(self) -> None:
        """Ends all, politely."""
        for pid in tuple(self._frozen):
            self.thaw(pid)
        for each in tuple(self._zombies):
            self.end_zombie(each)
        self._supervisor.end()

    def _bury(self, zombie: subprocess.Popen[bytes]) -> None:
        zombie.wait()
        if zombie.stdin is not None:
            zombie.stdin.close()
        del self._zombies[zombie]

    def _line(self, spec: Spec) -> Sequence[str]:
        left = self._absent.get(spec.name, 0.0) - time.monotonic()
        if left > 0:
            return [sys.executable, "-I", "-S", "-c", _ABSENT, str(left)]
        return self._command(spec)

    def _command(self, spec: Spec) -> Sequence[str]:
        who = (APP, spec.process_manager, spec.role, spec.name)
        return [sys.executable, "-m", "pmstream.cli.chaos_worker", *who, self._step]


def _key(spec: Spec) -> str:
    return f"{spec.process_manager}/{spec.role}/{spec.name}"
