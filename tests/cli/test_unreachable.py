"""A Kafka that cannot be reached is one sentence and exit code 69, whatever is typed."""

import pytest

from tests.cli.conftest import APP, Shell
from tests.cli.operated import NAME, PM

LOOK = [("topics", "list", APP), ("status", APP)]
ORDER = [
    ("instances", "retry", NAME, PM, "a", "--yes"),
    ("pause", NAME, PM, "--yes"),
    ("dead-letters", "drop", NAME, PM, "0:1", "--why", "a test", "--yes"),
]


@pytest.mark.slow
def test_who_reaches_no_broker_is_told_and_ends_with_69(shell: Shell) -> None:
    """Each tries for ten seconds, so all try at a time."""
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"

    running = {line: shell.start(*line) for line in (*LOOK, *ORDER)}

    for line, process in running.items():
        out, err = process.communicate(timeout=240)
        assert (process.returncode, out) == (69, ""), (line, err)
        assert err.startswith("pmstream: Kafka at 127.0.0.1:1 cannot be reached: "), line
        assert len(err.splitlines()) == 1, line
