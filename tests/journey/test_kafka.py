"""The demo's journey on a real Kafka, through the command that a newcomer types."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

COMMAND = (sys.executable, "-m", "pmstream", "demo", "--transfers", "300")


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(tmp_path)}


def left_over(tmp_path: Path) -> list[str]:
    """Processes that have to do with the run directory, by their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if str(tmp_path).encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def test_the_demo_ends_well_and_leaves_nothing(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "-o", "json"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert summary.pop("seconds") > 0
    assert summary == {
        "kafka": "4.3.1",
        "transfers": 300,
        "completed": 300,
        "commands": 600,
        "lost": 0,
        "duplicated": 0,
        "open": 0,
        "kills": 1,
    }
    assert "SIGKILL" in ended.stderr
    assert not await_gone(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_a_bank_refuses_is_undone(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "--confirm", "-o", "json"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=350,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout.splitlines()[-1])
    assert [summary[name] for name in ("completed", "lost", "duplicated", "open")] == [300, 0, 0, 0]
    assert summary["refused"] > 0
    assert summary["commands"] > 2 * 300


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_no_process(how: signal.Signals, tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*COMMAND, "--rate", "10"], env=environment(tmp_path), stderr=subprocess.PIPE, text=True
    )
    assert demo.stderr is not None
    with demo.stderr as lines:
        for line in lines:
            if "started" in line:
                demo.send_signal(how)
                break
        rest = lines.read()

    assert demo.wait(120) == 130
    assert f"are in {tmp_path}" in rest
    assert not await_gone(tmp_path)


def await_gone(tmp_path: Path) -> list[str]:
    """Processes that are still there after a while."""
    until = time.monotonic() + 60
    while (left := left_over(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    return left
