"""Members of a group that close before they have gathered."""

import subprocess
import sys
from typing import Protocol

import pytest


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.mark.kafka
def test_a_close_comes_back_at_every_moment_of_joining(kafka: Cluster) -> None:
    command = [sys.executable, "-m", "tests.runtime.closing", kafka.bootstrap_servers]

    ended = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
