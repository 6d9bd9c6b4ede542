"""A roll-out under load on a real Kafka loses and doubles nothing; how long partitions stand."""

import json
import subprocess
import sys

import pytest


@pytest.mark.kafka
@pytest.mark.slow
def test_a_roll_out_loses_and_doubles_nothing() -> None:
    command = [sys.executable, "-m", "pmstream", "dev", "chaos", "--rolling", "1"]
    command += ["--workers", "3", "--rate", "100", "-o", "json"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=350, check=False)

    assert ended.returncode == 0, ended.stderr[-3000:] + ended.stdout
    summary = json.loads(ended.stdout.splitlines()[0])
    assert summary["replaced"] == 5  # two routers, three owners of state
    assert summary["commands"] > 0
    assert set(summary["stall_s"]) == {"0", "1", "2", "3", "4", "5"}
    assert summary["stall_max_s"] <= summary["limit_s"]
