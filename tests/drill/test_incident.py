"""The incident drill of docs/drill.md, by the commands that an operator types, on a real Kafka."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from pmstream.devkafka import Cluster, ports

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
APP, PM = "tests.drill.kiosk:app", "fulfil"
ORDERS, BAD = 200, 50
PATIENCE = 90.0


class Operator:
    """A shell with the app at hand, in one of its versions.

    Args:
        servers: where Kafka is.
        folder: for state.
    """

    def __init__(self, servers: str, folder: Path) -> None:
        self.folder, self.bug = folder, "0"
        (self.port,) = ports.free(1)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "PMSTREAM" not in name},
            "PYTHONPATH": str(ROOT),
            "PMSTREAM_BOOTSTRAP_SERVERS": servers,
            "PMSTREAM_STATE_DIR": str(folder / "state"),
            "PMSTREAM_INBOX_PARTITIONS": "3",
            "PMSTREAM_SESSION_TIMEOUT_MS": "6000",
        }
        self.running: subprocess.Popen[str] | None = None

    def _start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pmstream", *words],
            cwd=self.folder,
            env={**self.environment, "KIOSK_BUG": self.bug},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def types(self, *words: str, code: int = 0) -> str:
        """Runs a command to its end, and expects its exit code."""
        process = self._start(*words)
        out, err = process.communicate(timeout=PATIENCE)
        assert process.returncode == code, f"{words}: {process.returncode}\n{out}\n{err}"
        return out

    def deploy(self, bug: str) -> None:
        """Ends what runs, politely, and starts this version."""
        self.end()
        self.bug = bug
        self.running = self._start("run", APP, "--name", "host-1", "--health-port", str(self.port))

    def end(self) -> None:
        if self.running is not None:
            self.running.send_signal(signal.SIGTERM)
            self.running.communicate(timeout=PATIENCE)
            self.running = None

    def metric(self, name: str, label: str) -> float:
        """The sum of a metric's samples with that label."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = [line for line in lines if line.startswith(name) and f'"{label}"' in line]
        return sum(float(line.rsplit(" ", 1)[1]) for line in found)

    def produce(self, type_: str, messages: list[dict[str, object]]) -> None:
        file = self.folder / "messages.ndjson"
        file.write_text("".join(json.dumps(each) + "\n" for each in messages))
        self.types("produce", APP, "kiosk.events", "--type", type_, "--file", str(file))

    def commands(self, type_: str) -> list[str]:
        """Orders of all visible commands of a type."""
        out = self.types("consume", APP, "kiosk.commands", "-o", "json")
        rows = [json.loads(line) for line in out.splitlines()]
        return sorted(row["value"]["order"] for row in rows if row["type"] == type_)


def until(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not is_done():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.5)


@pytest.fixture
def operator(kafka: Cluster, tmp_path: Path) -> Iterator[Operator]:
    made = Operator(kafka.bootstrap_servers, tmp_path)
    yield made
    made.end()


def test_a_bad_deploy_is_seen_contained_mended_and_released(operator: Operator) -> None:
    names = [f"o-{n:03}" for n in range(ORDERS)]
    poisoned = names[3::4]
    amounts = {name: 13 if name in poisoned else 20 for name in names}
    assert len(poisoned) == BAD
    operator.types("topics", "ensure", APP, "--create-missing", "--yes")
    operator.deploy(bug="0")
    operator.produce("Ordered", [{"order": n, "amount": amounts[n]} for n in names])
    until(lambda: len(operator.commands("Reserve")) == ORDERS)

    # The bad deploy: everybody else goes on.
    operator.deploy(bug="1")
    operator.produce("Paid", [{"order": n} for n in names])
    until(lambda: len(operator.commands("Ship")) == ORDERS - BAD)

    # Status and metrics show it; what is stuck says why.
    def parked() -> int:
        rows = json.loads(
            operator.types("instances", "list", APP, PM, "--condition", "parked", "-o", "json")
        )
        return len(rows)

    until(lambda: parked() == BAD)
    assert f" parked {BAD} " in " ".join(operator.types("status", APP, code=1).split())
    until(lambda: operator.metric("pmstream_instances", "parked") == BAD)
    shown = json.loads(operator.types("instances", "show", APP, PM, poisoned[0], "-o", "json"))
    assert shown["error"] == "ZeroDivisionError: discount of 13"

    # The fix, in the shadow: it concerns exactly those.
    operator.bug = "0"
    found = json.loads(operator.types("replay", APP, PM, "--shadow", "-o", "json", code=1))
    assert [each["uuid"] for each in found["changed"]] == poisoned
    assert (len(found["new"]), found["gone"], found["altered"]) == (BAD, [], [])

    # Deploy it, release them: all finish, none doubled.
    operator.deploy(bug="0")
    release = ("instances", "release", APP, PM, "--condition", "parked", "--why", "mended")
    operator.types(*release)
    assert len(operator.commands("Ship")) == ORDERS - BAD
    operator.types(*release, "--yes")

    until(lambda: len(operator.commands("Ship")) >= ORDERS)
    assert operator.commands("Ship") == operator.commands("Reserve") == names
    until(lambda: parked() == 0)
    operator.types("status", APP)
    assert json.loads(operator.types("replay", APP, PM, "--shadow", "-o", "json"))["commands"] == (
        2 * ORDERS
    )
