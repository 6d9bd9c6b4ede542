"""A worker as a process of a machine: it may be frozen, suspended in mid-call, or killed.

Rule: killed means that nothing of it runs any more: stores stay as they were flushed last, what
is open in the log stays open.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.worker import Worker
from pmstream.testing.killed import leave_as_killed
from tests.simulation.archive import demand


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


class Trap(Struct):
    """Where a process is to be killed or suspended.

    Attributes:
        step: of a commit; "" counts calls of the log instead, `restoring` those while it reads.
        left: visits until it snaps.
        suspend: actions that others do meanwhile; 0 kills.
    """

    step: str
    left: int
    suspend: int


class Process:
    """One incarnation of a worker.

    Args:
        label: how the script calls it.
        name: of the worker; stable over its incarnations.
        role: router or instances.
        host: whose disk it uses.

    Attributes:
        worker: None once it is dead.
        frozen: whether it gets no turns.
        busy: whether it is in the middle of a turn.
        traps: see Trap.
        ends: why its incarnations ended by themselves.
    """

    def __init__(self, label: str, name: str, role: str, host: str) -> None:
        self.label, self.name, self.role, self.host = label, name, role, host
        self.worker: Worker | None = None
        self.frozen = self.busy = False
        self.traps: list[Trap] = []
        self.restarts = 5
        self.checked: dict[int, bytes | None] = {}

    @property
    def stage(self) -> InstancesStage | None:
        """Its stage if it is a living instances worker."""
        stage = self.worker.stage if self.worker is not None else None
        return stage if isinstance(stage, InstancesStage) else None

    @property
    def restoring(self) -> bool:
        """Whether it reads changelogs."""
        owned = self.stage._owned.values() if self.stage is not None else ()
        return any(each.restore is not None and each.restore.reading for each in owned)

    @property
    def transaction_open(self) -> bool:
        """Whether its producer is in a transaction."""
        state = self.worker._producer._state if self.worker is not None else None  # type: ignore[attr-defined]
        return state is not None and state.name in ("OPEN", "COMMITTING", "ABORTING")

    @property
    def reads_ahead(self) -> bool:
        """Whether it reads records before their turn, while the log takes a batch."""
        return self.worker is not None and self.worker._ahead.is_reading

    def started(self, worker: Worker, look: Callable[[], None]) -> None:
        """Runs from now on; every gather is watched for I4, `look` is called at each."""
        self.worker, self.frozen, self.traps = worker, False, []
        self.checked.clear()
        consumer = worker._consumer
        gather = consumer.gather

        def watched(room: int, timeout: float) -> object:
            look()
            demand(not self.transaction_open, f"I4: {self.label} gathers with a transaction open")
            return gather(room, timeout)

        consumer.gather = watched  # type: ignore[method-assign,assignment]

    def crash(self) -> None:
        """SIGKILL."""
        stage, self.worker = self.stage, None
        for owned in stage._owned.values() if stage is not None else ():
            if owned.store is not None:
                leave_as_killed(owned.store)

    def end(self) -> None:
        """Ends as the loop of a worker does: all is closed."""
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.close()

    def snap(self, step: str, suspend: Callable[[int], None]) -> None:
        """Told each step of a commit, and with "" each call of the log; the traps snap here."""
        worker = self.worker
        for trap in [each for each in self.traps if each.step == step]:
            trap.left -= 1
            if trap.left <= 0:
                self.traps.remove(trap)
                if not trap.suspend:
                    raise Killed(self.label)
                suspend(trap.suspend)
        if self.worker is not worker:
            raise Killed(self.label)


class Disks:
    """The machines' disks, and older copies of them.

    Args:
        root: a folder, in memory if there is such a one.
        place: from a host's root and a worker's name to its folder.
    """

    def __init__(self, root: Path, place: Callable[[Path, str], Path]) -> None:
        self.root, self._place = root, place
        self._copies: dict[str, list[Path]] = {}
        self._count = 0

    def folder(self, process: Process) -> Path:
        """Where a process has its stores."""
        return self._place(self.root / process.host, process.name)

    def keep_copy(self, process: Process) -> None:
        """Copies the disk of a process that is down."""
        folder = self.folder(process)
        if not folder.exists():
            return
        self._count += 1
        copy = self.root / "copies" / str(self._count)
        shutil.copytree(folder, copy)
        self._copies.setdefault(process.name, []).append(copy)

    def wipe(self, process: Process) -> None:
        """A new, empty disk."""
        shutil.rmtree(self.folder(process), ignore_errors=True)

    def put_back(self, process: Process, which: int) -> bool:
        """An older copy of this worker's disk, as a snapshot of a volume; False if none is."""
        copies = self._copies.get(process.name, [])
        if not copies:
            return False
        self.wipe(process)
        shutil.copytree(copies[which % len(copies)], self.folder(process))
        return True
