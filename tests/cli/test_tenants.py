"""`make_app(settings)`: one process manager for several tenants, told apart by PMSTREAM_APP__..."""

import json
import signal
import time
from pathlib import Path

import pytest

from pmstream.cli.loading import load_app
from pmstream.config import Settings
from pmstream.devkafka import Cluster
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROLES, make_worker
from tests.cli.conftest import Pmstream, Shell

PM = "transfer-money"
APP = "tenants:make_app"
MODULE = """
from pmstream import App
from pmstream.examples.transfer import TransferMoney, app as bank

def make_app(settings):
    name = settings.app["name"] + "-" + settings.app["tenant"]
    return App(
        name=name,
        schemas=bank.schemas,
        events={f"{name}.transfers": bank.events["bank.transfers"]},
        commands={f"{name}.commands": bank.commands["bank.account-commands"]},
        process_managers=[TransferMoney()],
    )
"""
TENANTS = ("acme", "zeta")


@pytest.fixture(autouse=True)
def name(folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """What the names of this test's apps begin with; all else stands in a file."""
    (folder / "tenants.py").write_text(MODULE)
    found = f"bank{abs(hash(request.node.nodeid)) % 10**9}"
    (folder / "pmstream.toml").write_text(f'[app]\nname = "{found}"\ntenant = "nobody"\n')
    return found


def transfer(uuid: str, amount: int) -> str:
    fields = {"transfer_uuid": uuid, "debit_account": "1", "credit_account": "2"}
    return json.dumps({**fields, "amount": amount})


def written_to(log: MemoryLog, topic: str) -> bool:
    places = [TopicPartition(topic, n) for n in range(log.topics()[topic].partitions)]
    return any(log.end(place, stable=True) for place in places)


def test_each_tenant_sees_its_own_commands_only(
    pmstream: Pmstream, log: MemoryLog, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # given: topics and an event of each, and workers of both under the same names
    workers = []
    for amount, tenant in enumerate(TENANTS, 5):
        monkeypatch.setenv("PMSTREAM_APP__tenant", tenant)
        topic, text = f"{name}-{tenant}.transfers", transfer("t", amount)
        assert pmstream("topics", "ensure", APP, "--create-missing").exit_code == 0
        written = pmstream(
            "produce", APP, topic, "--type", "MoneyTransferRequested", "--json", text
        )
        assert written.exit_code == 0, written.output
        settings = Settings.load()
        app = load_app(APP, settings)
        workers += [
            make_worker(app, PM, role, "host-1", log, settings, SystemClock()) for role in ROLES
        ]

    # when
    targets = [f"{name}-{tenant}.commands" for tenant in TENANTS]
    deadline = time.monotonic() + 60
    while not all(written_to(log, topic) for topic in targets):
        assert time.monotonic() < deadline, "no command of some tenant"
        for worker in workers:
            worker.turn()
    for worker in workers:
        worker.close()

    # then
    for amount, tenant in enumerate(TENANTS, 5):
        monkeypatch.setenv("PMSTREAM_APP__tenant", tenant)
        consumed = pmstream("consume", APP, f"{name}-{tenant}.commands", "-o", "json")
        listed = json.loads(pmstream("instances", "list", APP, PM, "-o", "json").stdout)
        [command] = [json.loads(line) for line in consumed.stdout.splitlines()]
        assert command["value"]["amount"] == amount
        assert [row["state"]["amount"] for row in listed] == [amount]


def test_workers_of_two_tenants_run_side_by_side_on_one_host(
    kafka: Cluster, shell: Shell, name: str
) -> None:
    # given
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    running = []
    for amount, tenant in enumerate(TENANTS, 5):
        shell.environment["PMSTREAM_APP__tenant"] = tenant
        topic, text = f"{name}-{tenant}.transfers", transfer("t", amount)
        assert shell.run("topics", "ensure", APP, "--create-missing")[0] == 0
        written = shell.run(
            "produce", APP, topic, "--type", "MoneyTransferRequested", "--json", text
        )
        assert written[0] == 0, written
        running.append(shell.start("run", APP, "--name", "host"))

    # when, then
    for amount, tenant in enumerate(TENANTS, 5):
        shell.environment["PMSTREAM_APP__tenant"] = tenant
        topic = f"{name}-{tenant}.commands"
        _, out, _ = shell.run("consume", APP, topic, "-f", "--limit", "1", "-o", "json")
        assert json.loads(out)["value"]["amount"] == amount
    for process in running:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == 0
