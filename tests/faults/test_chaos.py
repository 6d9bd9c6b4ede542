"""A short chaos run as anyone starts it: workers and connections fail, the verdict is clean."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.kit import soak

pytestmark = [pytest.mark.kafka, *soak]

KINDS = (
    "cut",
    "freeze-short",
    "kill-in-commit",
    "kill-instances",
    "kill-router",
    "swallow",
    "terminate",
    "wipe",
)
COMMAND = [
    *(sys.executable, "-m", "pmstream", "dev", "chaos", "--minutes", "0.5", "--seed", "1"),
    *("--workers", "2", "--rate", "100", "-o", "json"),
    *(word for kind in KINDS for word in ("--only", kind)),
]


def left_over(directory: Path) -> list[str]:
    """Command lines of processes that were told of the run's directory."""
    lines = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return [line for line in lines.stdout.splitlines() if str(directory) in line]


def test_nothing_is_lost_or_doubled_and_nothing_is_left(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}

    run = subprocess.run(
        COMMAND, env=environment, capture_output=True, text=True, check=False, timeout=500
    )

    assert run.returncode == 0, run.stderr[-4_000:]
    details, summary = map(json.loads, run.stdout.splitlines())
    wrong = ("lost", "duplicated", "misordered", "state_mismatches")
    assert [summary[name] for name in wrong] == [0, 0, 0, 0]
    assert details["open"] == 0
    assert summary["events"] > 1_000
    assert summary["faults"]
    assert not list(tmp_path.iterdir()), "a clean run leaves no folder"
    until = time.monotonic() + 10
    while (left := left_over(tmp_path)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not left
