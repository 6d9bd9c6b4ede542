"""The port of `pmstream run`: chosen, refused, and what it shows of real workers."""

import json
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import APP, Pmstream, Shell
from tests.cli.test_run import PM, SHOP, produce

DEADLINE_SECONDS = 120


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_in_use_is_told_before_anything_runs(
    pmstream: Pmstream, bank: MemoryLog, taken: int
) -> None:
    result = pmstream("run", APP, "--health-port", str(taken))

    assert result.exit_code == 2
    assert result.stderr == (
        f"pmstream: port {taken} for health and metrics is in use: give another one by "
        "--health-port (PMSTREAM_HEALTH_PORT), or 0 for none\n"
    )


def test_the_option_wins_over_the_variable(
    pmstream: Pmstream, log: MemoryLog, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMSTREAM_HEALTH_PORT", str(taken))

    by_variable = pmstream("run", APP).stderr
    by_option = pmstream("run", APP, "--health-port", "0").stderr

    assert f"port {taken}" in by_variable
    assert "does not exist" in by_option, "it came as far as the topics"


def test_a_port_that_cannot_be_one_is_told(pmstream: Pmstream) -> None:
    result = pmstream("run", APP, "--health-port", "70000")

    assert result.exit_code == 2
    assert "setting health_port is 70000" in result.stderr


def ask(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except urllib.error.URLError as error:
        return 0, str(error)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def test_real_workers_become_ready_and_their_counters_are_on_metrics(
    kafka: Cluster, shell: Shell, folder: Path
) -> None:
    # given: an app with one transfer asked for
    name, port = f"health{time.time_ns()}", free_port()
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    (folder / "shop.py").write_text(SHOP.format(name=name))
    assert shell.run("topics", "ensure", "shop:make_app", "--create-missing")[0] == 0
    produce(shell, name, "good")

    # when
    running = shell.start("run", "shop:make_app", "--name", "h", "--health-port", str(port))
    handled = (
        f'pmstream_inputs_total{{app="{name}",outcome="handled",pm="{PM}",role="instances",'
        'worker="h-1"} 1.0'
    )
    deadline = time.monotonic() + DEADLINE_SECONDS
    # Workers tell of themselves once a second, each in its own time.
    while handled not in ask(port, "/metrics")[1] or ask(port, "/readyz")[0] != 200:
        assert time.monotonic() < deadline, ask(port, "/readyz")
        time.sleep(0.2)
    ready = ask(port, "/readyz")
    text = ask(port, "/metrics")[1]
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)

    # then
    assert ready[0] == 200, ready
    assert {each["role"] for each in json.loads(ready[1])["workers"]} == {"router", "instances"}
    assert f'outcome="routed",pm="{PM}",role="router",worker="h-1"}} 1.0' in text
    assert text.count("pmstream_partition_running{") == 3 + 3  # inbox and source
    assert 'pmstream_instances{app="' in text
    assert running.returncode == 0
