"""What breaks beside workers: brokers, one at a time, and a small disk."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from pmstream.devkafka import Cluster

_SETTLE_SECONDS = 10.0
"""Until a broker that came back counts as one of the replicas again, roughly."""

_DISK_MEGABYTES = 64

BROKER_SESSION_SECONDS = 9.0
"""After which the controller knows a broker as dead: Kafka's default. Freezes are shorter.

The only broker of a cluster stays away for longer once it is killed or stopped. Came it back
earlier, its partitions would lose their leader under the eyes of its transaction coordinator, which
then takes them for deleted and completes transactions without their markers (docs/architecture.md).
"""

ALONE = {"controlled.shutdown.enable": "false"}
"""Of the only broker of a cluster: a shutdown in order takes the leaders away while it runs on."""


class Brokers:
    """Ends, stops or freezes one broker at a time, and brings it back.

    Args:
        cluster: runs.
        size: how many brokers it has.

    Attributes:
        failure: why one did not come back.
    """

    def __init__(self, cluster: Cluster, size: int) -> None:
        self._cluster, self.size = cluster, size
        self._thread: threading.Thread | None = None
        self._free_at = 0.0
        self.failure: Exception | None = None

    @property
    def session_seconds(self) -> float:
        """How long one that ended has to stay away at least, see BROKER_SESSION_SECONDS."""
        return BROKER_SESSION_SECONDS if self.size == 1 else 0.0

    @property
    def busy(self) -> bool:
        """Whether one is away, or came back a moment ago."""
        away = self._thread is not None and self._thread.is_alive()
        return away or time.monotonic() < self._free_at

    def kill(self, number: int, seconds: float) -> None:
        """SIGKILL; started again after so long."""
        self._away(lambda: self._cluster.kill(number), number, seconds)

    def stop(self, number: int, seconds: float) -> None:
        """A stop in order; started again after so long."""
        self._away(lambda: self._cluster.stop_broker(number), number, seconds)

    def freeze(self, number: int, seconds: float) -> None:
        """SIGSTOP for so long."""

        def act() -> None:
            self._cluster.pause(number)
            time.sleep(seconds)
            self._cluster.resume(number)

        self._start(act)

    def wait(self) -> None:
        """Returns when all run."""
        if self._thread is not None:
            self._thread.join()

    def _away(self, end: Callable[[], None], number: int, seconds: float) -> None:
        def act() -> None:
            end()
            time.sleep(seconds)
            self._cluster.start_broker(number)

        self._start(act)

    def _start(self, act: Callable[[], None]) -> None:
        def run() -> None:
            try:
                act()
            except Exception as error:  # noqa: BLE001 - told by the one who looks
                self.failure = error
            self._free_at = time.monotonic() + (_SETTLE_SECONDS if self.size > 1 else 0.0)

        self._thread = threading.Thread(target=run, name="chaos-broker", daemon=True)
        self._thread.start()


class SmallDisk:
    """A small tmpfs over a folder, to be filled; needs root.

    Args:
        folder: of one worker.

    Attributes:
        why_not: why there is none; "" when there is one.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.why_not = self._mount()

    def fill(self) -> None:
        """Leaves no byte."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1 << 16))
            except OSError:
                pass
            try:
                while True:
                    file.write(b"0")
            except OSError:
                pass

    def free(self) -> None:
        """Gives the space back."""
        self._ballast.unlink(missing_ok=True)

    def unmount(self, keep: Path | None = None) -> None:
        """Takes it away; what is on it is copied to `keep` first."""
        if self.why_not:
            return
        if keep is not None:
            subprocess.run(["cp", "-a", str(self._folder), str(keep)], check=False)
        subprocess.run(["umount", "-l", str(self._folder)], check=False)
        self.why_not = "it was taken away"

    @property
    def _ballast(self) -> Path:
        return self._folder / "ballast"

    def _mount(self) -> str:
        size = f"size={_DISK_MEGABYTES}m"
        command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(self._folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError as error:
            return f"mount cannot be run: {error.strerror}"
        return done.stderr.strip() if done.returncode else ""
