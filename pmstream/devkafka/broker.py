"""One broker: its folder, its JVM, and the signals it gets."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

from pmstream.devkafka.errors import DevKafkaError

_GUARD = Path(__file__).with_name("guard.py")


class Broker:
    """A broker and controller; runs, is paused, or is stopped.

    Args:
        node: its `node.id`, from 1.
        port: where clients reach it.
        folder: its data, properties and log.
    """

    def __init__(self, node: int, port: int, folder: Path) -> None:
        self.node = node
        self.port = port
        self.folder = folder
        self.pid: int | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        """What the JVM printed."""
        return self.folder / "broker.log"

    @property
    def runs(self) -> bool:
        """Whether there is a process, paused or not."""
        return self._guard is not None and self._guard.poll() is None

    def start(self, command: list[str], doomed: Path | None, held: BinaryIO) -> None:
        """Starts the JVM; it lives no longer than this process.

        Args:
            command: the JVM and its arguments.
            doomed: a folder to remove should this process die.
            held: an open file that stays open until the JVM is gone (it carries a lock).
        """
        guard = [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), str(doomed or "")]
        with self.log.open("ab") as log:
            self._guard = subprocess.Popen(
                [*guard, *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[held.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal is for us, not for the broker
            )
        assert self._guard.stdout is not None
        told = self._guard.stdout.readline()
        if not told:
            raise DevKafkaError(f"broker {self.node} did not start: {self.last_words()}")
        self.pid = int(told)

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the JVM.

        Raises:
            DevKafkaError: it does not run.
        """
        if not self.runs or self.pid is None:
            raise DevKafkaError(
                f"broker {self.node} does not run, so {number.name} has no receiver: start it first"
            )
        os.kill(self.pid, number)

    def terminate(self) -> None:
        """Asks the JVM to shut down in order; one that is paused goes on to do so."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Waits for the JVM's end; False if it is still there after `timeout_s` seconds."""
        if self._guard is None:
            return True
        try:
            self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        for pipe in (self._guard.stdin, self._guard.stdout):
            assert pipe is not None
            pipe.close()
        self._guard = self.pid = None
        return True

    def end(self) -> None:
        """Kills the JVM if it runs, and waits until it is gone."""
        if self.runs and self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def last_words(self) -> str:
        """The end of the log, without the stacks in it."""
        name = f"its log {self.folder.name}/{self.log.name}"
        try:
            said = self.log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            said = []
        tail = [f"    {line[:300]}" for line in said if line and not line[0].isspace()][-5:]
        return "\n".join([f"{name} ends with", *tail]) if tail else f"{name} is empty"
