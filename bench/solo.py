"""The job's app on topics of its own, and its workers, each a process that is watched.

For benches that look at one worker; `race` lets peers drain a topic.
"""

import json
import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bench.apps import make
from bench.children import Child
from bench.contestants import worker
from bench.rig import Rig
from bench.stage import PARTITIONS, await_all, ensure

BATCH = 2_000
INTERVAL_MS = 50
"""As `Settings` has it."""

_QUIET_SECONDS = 1.5


class Note(Struct, frozen=True, array_like=True):
    """What a worker noted (`worker.NOTED`): when, of which partition, and its words."""

    time: float
    what: str
    partition: int
    text: str


def read_notes(path: Path) -> list[Note]:
    """Those in whole lines, of a file that may not be there yet: the last may be half written."""
    text = path.read_text() if path.exists() else ""
    return [Note(*json.loads(line)) for line in text[: text.rfind("\n") + 1].splitlines()]


class Restored(Struct, frozen=True):
    """How a worker's partitions became ready.

    Attributes:
        began, ended: the first one was opened, the last one runs; seconds since the epoch.
        records: that were read from the changelog for it.
    """

    began: float
    ended: float
    records: int

    @property
    def seconds(self) -> float:
        """From the first that was opened to the last that runs."""
        return self.ended - self.began


def restored(notes: Sequence[Note], partitions: int) -> Restored | None:
    """How they became ready; None while not all of them are."""
    running = {each.partition: each for each in notes if each.what == "running"}
    opened = {each.partition: each for each in reversed(notes) if each.what == "restoring"}
    if len(running) < partitions:
        return None
    return Restored(
        min(opened[number].time for number in running),
        max(each.time for each in running.values()),
        sum(int(each.text.split()[0]) for each in running.values()),
    )


class Runner(Struct):
    """A worker that runs, and where its notes are."""

    child: Child
    stats: Path

    def notes(self) -> list[Note]:
        """What it has noted so far."""
        return read_notes(Path(f"{self.stats}.notes"))

    def await_ready(self, partitions: int, seconds: float) -> Restored:
        """Returns once so many partitions run. Raises RuntimeError if it ends, SystemExit late."""
        found: Restored | None = None

        def ready() -> bool:
            nonlocal found
            self.child.check()
            found = restored(self.notes(), partitions)
            return found is not None

        await_all(ready, seconds, f"{partitions} partitions do not run")
        assert found is not None
        return found

    def stop(self) -> None:
        """Ends it politely; its stores are whole then."""
        self.child.stop()


class Solo:
    """An app with its topics.

    Args:
        rig: the broker.
        name: of the app; begins the names of its topics.
        keyed: whether it is in direct mode.
        partitions: of its source and its inbox.
        state_bytes: of each process' state.
        interval_ms: when it commits.
    """

    def __init__(
        self,
        rig: Rig,
        name: str,
        *,
        keyed: bool,
        partitions: int = PARTITIONS,
        state_bytes: int = 200,
        interval_ms: int = INTERVAL_MS,
    ) -> None:
        self.rig, self.name, self.partitions = rig, name, partitions
        self.source, self.commands = f"{name}-events", f"{name}-commands"
        rig.make(self.source, count=partitions)
        rig.make(self.commands, stamped=True, count=partitions)
        self.app = make(name, self.source, self.commands, keyed=keyed)
        ensure(self.app, rig.log, partitions)
        self._environment = {"BENCH_STATE_BYTES": str(state_bytes)}
        self._told = {
            "servers": rig.servers,
            "source": self.source,
            "commands": self.commands,
            "group": name,
            "state_dir": str(rig.directory / f"{name}-state"),
            "interval_ms": interval_ms,
            "batch": BATCH,
            "keyed": keyed,
        }
        self._runners: list[Runner] = []

    def start(self, role: str = "instances", *, pinned: bool | None = None) -> Runner:
        """Starts a worker; the next one of the role goes by the same name, with its state."""
        name = f"{self.name}-{role}-{len(self._runners)}"
        stats, log = (self.rig.directory / f"{name}.{end}" for end in ("json", "log"))
        command = worker(role).command({**self._told, "number": 0, "stats": str(stats)})
        cores = self.rig.arrange(pinned=pinned)
        runner = Runner(Child(command, log, cores, self._environment), stats)
        self._runners.append(runner)
        return runner

    def close(self) -> None:
        """Ends what still runs."""
        for each in reversed(self._runners):
            each.stop()

    def await_commands(self, count: int, runners: Sequence[Runner], seconds: float) -> None:
        """Returns once so many commands can be read and no more come.

        Raises:
            RuntimeError: a worker ended.
            SystemExit: they do not come.
        """
        end, moved = 0, time.monotonic()

        def there() -> bool:
            nonlocal end, moved
            for each in runners:
                each.child.check()
            found = self.rig.end(self.commands)
            if found != end:
                end, moved = found, time.monotonic()
            # A transaction's markers count in an end, so it alone does not tell.
            return end >= count and time.monotonic() - moved > _QUIET_SECONDS

        await_all(there, seconds, f"less than {count} commands")
