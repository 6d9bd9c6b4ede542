"""What the measurements play on: a real Kafka, an app's topics, and its workers as processes."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmstream import App
from pmstream.config import Settings
from pmstream.devkafka import Cluster
from pmstream.operate import starts, topics
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import Log

PARTITIONS = 4
SESSION_MS = 6_000


def say(line: str) -> None:
    """A line of progress."""
    print(line, file=sys.stderr, flush=True)


def ensure(app: App, log: Log, partitions: int = PARTITIONS) -> None:
    """What `pmstream topics ensure --create-missing` does."""
    settings = Settings(inbox_partitions=partitions)
    topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
    starts.set_starts(app, log, starts.find_starts(app, log))


class Stage:
    """A cluster with an app's topics.

    Args:
        servers: of the cluster.
        app: and where it stands, `module:attribute`.
        directory: for state and logs.
    """

    def __init__(self, servers: str, app: App, name: str, directory: Path) -> None:
        self.servers, self._name, self._directory = servers, name, directory
        self.log = KafkaLog(servers)
        ensure(app, self.log)
        self._children: list[subprocess.Popen[bytes]] = []

    def run(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """`pmstream run` as a process of its own."""
        command = [sys.executable, "-m", "pmstream", "run", self._name, "--name", name, *options]
        environment = {
            **os.environ,
            "PMSTREAM_BOOTSTRAP_SERVERS": self.servers,
            "PMSTREAM_STATE_DIR": str(self._directory / "state"),
            "PMSTREAM_SESSION_TIMEOUT_MS": str(SESSION_MS),
            "PMSTREAM_HEALTH_PORT": "0",  # several at a time
        }
        with (self._directory / f"{name}.log").open("ab") as output:
            child = subprocess.Popen(
                command, env=environment, stdout=output, stderr=output, start_new_session=True
            )
        self._children.append(child)
        return child

    def kill(self, child: subprocess.Popen[bytes]) -> None:
        """SIGKILL for a supervisor and its workers."""
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        self._children.remove(child)

    def end(self) -> None:
        """Ends all, politely."""
        for child in self._children:
            child.terminate()
        for child in self._children:
            child.wait(60)


@contextmanager
def staged(app: App, name: str) -> Iterator[Stage]:
    """A stage for as long as a `with` block lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="pmstream-bench-") as directory,
        Cluster(progress=say) as cluster,
    ):
        stage = Stage(cluster.bootstrap_servers, app, name, Path(directory))
        try:
            yield stage
        finally:
            stage.end()


def await_all(condition: object, seconds: float, what: str) -> None:
    """Returns when a function answers true. Raises SystemExit after so many seconds."""
    assert callable(condition)
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"{what} in {seconds:.0f} s")
        time.sleep(0.05)


def quantile(values: list[float], share: float) -> float:
    """The value that so large a share does not exceed."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
