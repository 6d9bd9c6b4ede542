"""`pmstream status`: one screen, a last line, exit codes; in memory and on a real Kafka."""

import json
import re
import signal
import time
from pathlib import Path

import pytest

from pmstream.app import Names
from pmstream.core.instance import Instance, Status, Wait, Work, dump_instance
from pmstream.core.messages import Routed
from pmstream.devkafka import Cluster
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROLES
from pmstream.runtime.store import instance_key
from tests.cli.conftest import APP, Pmstream, Shell
from tests.cli.test_run import PM, SHOP, produce
from tests.faults.kafka_kit import wait_until

DEADLINE_SECONDS = 120
EVENT = Routed(
    process_uuid="a",
    route="start",
    value=b"",
    topic="bank.transfers",
    partition=0,
    offset=0,
    index=0,
    timestamp=0,
    headers=(),
)
PARKED = Instance(status=Status.RUNNING, work=Work(input=EVENT, wait=Wait.OPERATOR))


@pytest.fixture
def parked(bank: MemoryLog) -> MemoryLog:
    """A bank that nobody runs, with a parked transfer."""
    writer = bank.writer()
    writer.produce(
        "bank.transfer-money.changelog", dump_instance(PARKED), instance_key("a"), partition=0
    )
    writer.flush(1)
    return bank


def test_the_screen_tells_all_and_the_last_line_what_to_do(
    pmstream: Pmstream, parked: MemoryLog
) -> None:
    result = pmstream("status", APP)

    rows = dict(re.findall(r"(?m)^(\S.*?)  +(\S+) *$", result.stdout))
    assert result.exit_code == 1
    assert rows["process manager"] == PM
    assert (rows["instances"], rows["parked"], rows["retrying"]) == ("1", "1", "0")
    assert f"- {PM}: 1 instance is parked: somebody has to decide" in result.stdout
    assert result.stdout.splitlines()[-1] == (
        f"bank is not well, first see to {PM}: `pmstream run {APP}`"
    )


def test_for_programs(pmstream: Pmstream, parked: MemoryLog) -> None:
    result = pmstream("status", APP, "-o", "json")

    told = json.loads(result.stdout)
    (manager,) = told["process_managers"]
    assert (result.exit_code, told["well"]) == (1, False)
    assert manager["roll"]["conditions"] == {"parked": 1}
    assert [each["role"] for each in manager["groups"]] == ["router", "instances"]
    assert [each["command"] for each in told["findings"]] == [
        f"pmstream run {APP}",
        f"pmstream run {APP}",
        f"pmstream instances stuck {APP} {PM}",
    ]


def test_topics_that_are_not_there_are_told(pmstream: Pmstream, log: MemoryLog) -> None:
    result = pmstream("status", APP)

    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1] == (
        f"bank is not well, first see to {PM}: `pmstream topics check {APP}`"
    )


def test_a_working_app_on_kafka_becomes_well_and_not_any_more_once_it_is_ended(
    kafka: Cluster, shell: Shell, folder: Path
) -> None:
    # given
    name = f"status{time.time_ns()}"
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    (folder / "shop.py").write_text(SHOP.format(name=name))
    assert shell.run("topics", "ensure", "shop:make_app", "--create-missing")[0] == 0
    produce(shell, name, "good")
    running = shell.start("run", "shop:make_app", "--name", "host")

    # when
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        code, out, _ = shell.run("status", "shop:make_app", "-o", "json")
        told = json.loads(out)
        if code == 0 and told["process_managers"][0]["roll"]["instances"]:
            break
        assert time.monotonic() < deadline, told
    running.send_signal(signal.SIGTERM)
    running.communicate(timeout=60)
    log, names = KafkaLog(kafka.bootstrap_servers), Names(name, PM)
    wait_until(lambda: not any(log.members(names.group(role)) for role in ROLES))  # sessions end
    later = shell.run("status", "shop:make_app")

    # then
    groups = told["process_managers"][0]["groups"]
    assert [(each["role"], each["members"], each["lag"]) for each in groups] == [
        ("router", ["host-1"], 0),
        ("instances", ["host-1"], 0),
    ]
    assert later[0] == 1
    assert later[1].splitlines()[-1].endswith("`pmstream run shop:make_app`")
