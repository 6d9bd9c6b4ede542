"""The command line in this process, on a log in memory."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pmstream.cli import loading, root
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog

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
