"""The command line in this process, on a log in memory."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pmstream.cli import loading
from pmstream.cli.root import root
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog

ROOT = Path(__file__).parents[2]
APP = "pmstream.examples.transfer:app"

Pmstream = Callable[..., Result]


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and no variable of ours."""
    for name in os.environ:
        if name.upper().startswith("PMSTREAM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PMSTREAM_INBOX_PARTITIONS", "3")
    monkeypatch.setenv("PMSTREAM_HEALTH_PORT", "0")  # several run at a time
    return tmp_path


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> MemoryLog:
    """What the command line finds where it looks for Kafka."""
    found = MemoryLog(VirtualClock())
    monkeypatch.setattr(loading, "_kafka", lambda _settings: found)
    return found


@pytest.fixture
def pmstream() -> Pmstream:
    """Runs one command line."""

    def run(*arguments: str, input: str | None = None) -> Result:
        return CliRunner().invoke(root, list(arguments), input=input, prog_name="pmstream")

    return run


@pytest.fixture
def bank(log: MemoryLog, pmstream: Pmstream) -> MemoryLog:
    """The example's topics, all there."""
    assert pmstream("topics", "ensure", APP, "--create-missing").exit_code == 0
    return log


class Shell:
    """Runs `python -m pmstream` as a user would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pmstream", *arguments],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.running.append(process)
        return process

    def run(self, *arguments: str) -> tuple[int, str, str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        return process.returncode, out, err


@pytest.fixture
def shell(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    monkeypatch.setenv("PMSTREAM_SHUTDOWN_TIMEOUT_S", "60")
    found = Shell(folder)
    yield found
    for process in found.running:
        if process.poll() is None:
            process.terminate()
            process.communicate(timeout=120)
