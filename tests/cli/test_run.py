"""`pmstream run` and its workers: what stops them before they start, and on a real Kafka."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pmstream.cli.work import COLLECTED_AFTER
from pmstream.devkafka import Cluster
from pmstream.runtime.folder import lock_directory
from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import APP, Pmstream, Shell

PM = "transfer-money"
EXPORTER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
WORKER = (APP, PM, "instances", "host-1")

SHOP = """
from pmstream import App
from pmstream.examples.transfer import TransferMoney, app as bank

class Picky(TransferMoney):
    def handle(self, state, event, metadata):
        if getattr(event, "reference", "") == "bad":
            raise ValueError("a bad one")
        return super().handle(state, event, metadata)

def make_app(settings):
    return App(
        name="{name}",
        schemas=bank.schemas,
        events={{"{name}.transfers": bank.events["bank.transfers"]}},
        commands={{"{name}.commands": bank.commands["bank.account-commands"]}},
        process_managers=[Picky()],
    )
"""


# What stops them before anything runs


def test_run_tells_what_topics_are_missing(pmstream: Pmstream, log: MemoryLog) -> None:
    result = pmstream("run", APP)

    assert result.exit_code == 2
    assert "source topic bank.transfers does not exist" in result.stderr
    assert f"run `pmstream topics ensure {APP}`" in result.stderr


def test_run_tells_that_no_worker_could_trace(
    pmstream: Pmstream, bank: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMSTREAM_TRACING", "on")
    monkeypatch.setitem(sys.modules, EXPORTER, None)

    result = pmstream("run", APP)

    assert result.exit_code == 2
    assert "pip install 'pmstream[otlp]', or switch it off" in result.stderr


def test_run_tells_that_there_is_no_start(pmstream: Pmstream, bank: MemoryLog) -> None:
    bank.forget_positions(f"bank.{PM}.router")

    result = pmstream("run", APP)

    assert result.exit_code == 2
    assert f"there is no start of {PM} in bank.transfers" in result.stderr


def test_run_refuses_a_name_that_kafka_would(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("run", APP, "--name", "host 1")

    assert result.exit_code == 2
    assert result.stderr.startswith("pmstream: worker name 'host 1' is not 1 to 100 of letters")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((APP, "nobody", "router", "a"), "app bank has no process manager 'nobody'; it has "),
        ((APP, PM, "boss", "a"), "role is 'boss'; it is router or instances"),
    ],
)
def test_a_worker_that_cannot_be(
    pmstream: Pmstream, log: MemoryLog, arguments: tuple[str, ...], text: str
) -> None:
    result = pmstream("worker", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")


def test_a_state_directory_that_cannot_be_written(
    shell: Shell, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "file").touch()
    shell.environment["PMSTREAM_STATE_DIR"] = "file/state"

    code, _, err = shell.run("worker", *WORKER)

    assert code == 2
    assert err == (
        f"pmstream: state directory file/state/bank/{PM}/host-1 cannot be used: Not a directory; "
        "set PMSTREAM_STATE_DIR to a writable directory\n"
    )


def test_a_state_directory_that_is_in_use(shell: Shell, folder: Path) -> None:
    shell.environment["PMSTREAM_SHUTDOWN_TIMEOUT_S"] = "0.1"
    with lock_directory(folder / "state" / "bank" / PM / "host-1", 0):
        code, _, err = shell.run("worker", *WORKER)

    assert code == 75
    assert f"is held by process {os.getpid()}; stop that one" in err


COLLECTOR = """
import gc
from contextlib import nullcontext
from pmstream.cli.work import attend
from pmstream.config import Settings

def make(log, clock):
    print(*gc.get_threshold())
    raise KeyboardInterrupt

attend(make, Settings(bootstrap_servers="127.0.0.1:1"), nullcontext(), app="bank")
"""


def test_a_worker_collects_garbage_seldom(shell: Shell) -> None:
    """At Python's default a tenth of a worker's time went there."""
    command = [sys.executable, "-c", COLLECTOR]

    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=shell.environment
    )

    assert tuple(map(int, done.stdout.split())) == COLLECTED_AFTER, done.stderr
    assert COLLECTED_AFTER[0] > 10_000


NEEDLESS = (
    "rich",
    "prometheus_client",
    "pmstream.operate",
    "pmstream.devkafka",
    "pmstream.testing",
)

IMPORTED = """
import sys
import pmstream.cli.work
import pmstream.runtime.kafka, pmstream.runtime.roles
print(*sys.modules)
"""


def test_a_worker_imports_no_other_command(shell: Shell) -> None:
    """They were a third of its start, and of each restart."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        capture_output=True,
        text=True,
        check=True,
        env=shell.environment,
    )

    found = done.stdout.split()
    assert [name for name in found if name.startswith(NEEDLESS)] == []
    assert {name for name in found if name.startswith("pmstream.cli.")} == {
        f"pmstream.cli.{name}" for name in ("exits", "loading", "logs", "tracing", "work")
    }


# On a real Kafka


def lines(process: subprocess.Popen[str]) -> list[dict[str, str]]:
    """What an ended process logged."""
    _, err = process.communicate(timeout=120)
    return [json.loads(line) for line in err.splitlines() if line.startswith("{")]


@pytest.fixture
def shop(kafka: Cluster, shell: Shell, folder: Path, request: pytest.FixtureRequest) -> str:
    """APP of a shop with topics of its own, and one transfer asked for."""
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    name = f"shop{abs(hash(request.node.nodeid)) % 10**9}"
    (folder / "shop.py").write_text(SHOP.format(name=name))
    assert shell.run("topics", "ensure", "shop:make_app", "--create-missing")[0] == 0
    produce(shell, name, "good")
    return name


def produce(shell: Shell, name: str, reference: str) -> None:
    transfer = {
        "transfer_uuid": reference,
        "debit_account": "1",
        "credit_account": "2",
        "amount": 3,
        "reference": reference,
    }
    code, _, err = shell.run(
        *("produce", "shop:make_app", f"{name}.transfers"),
        *("--type", "MoneyTransferRequested", "--json", json.dumps(transfer)),
    )
    assert code == 0, err


def test_an_app_runs_until_it_is_told_to_end(shell: Shell, shop: str) -> None:
    running = shell.start("run", "shop:make_app", "--name", "host")
    code, out, _ = shell.run(
        "consume", "shop:make_app", f"{shop}.commands", "--follow", "--limit", "1", "-o", "json"
    )
    running.send_signal(signal.SIGINT)
    told = lines(running)
    shown = shell.run("instances", "show", shop, PM, "good", "-o", "json")

    assert code == 0
    assert json.loads(out)["value"] == {"account_number": "1", "transfer_uuid": "good", "amount": 3}
    assert running.returncode == 0
    assert {(each["what"], each["role"], each["worker"]) for each in told if "role" in each} >= {
        ("started", "router", "host-1"),
        ("ended", "router", "host-1"),
        ("started", "instances", "host-1"),
        ("ended", "instances", "host-1"),
    }
    assert json.loads(shown[1])["state"]["status"] == "withdraw"


def test_a_process_manager_that_stops_ends_the_run_with_its_reason(shell: Shell, shop: str) -> None:
    produce(shell, shop, "bad")

    code, _, err = shell.run("run", "shop:make_app", "--max-restarts", "0")

    assert code == 70
    assert "ValueError: a bad one" in err
    assert err.splitlines()[-1].startswith(f"pmstream: {PM} stopped: more than 0 restarts in 60 s")


def test_a_worker_ends_politely(shell: Shell, shop: str) -> None:
    worker = shell.start("worker", "shop:make_app", PM, "router", "a")
    shell.run("consume", "shop:make_app", f"{shop}.{PM}.inbox", "--follow", "--limit", "1")
    worker.terminate()

    told = lines(worker)

    assert worker.returncode == 0
    assert told[-1]["what"] == "ended"
