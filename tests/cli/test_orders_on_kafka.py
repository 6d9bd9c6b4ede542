"""Orders against a real Kafka: `instances release --where` as it is typed, and a dead letter."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.operate import orders
from pmstream.operate.dead_letters import letters
from pmstream.operate.orders import Verdict
from pmstream.operate.redrive import Redriver
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from tests.cli.conftest import Shell
from tests.faults.kit import in_condition
from tests.runtime.world import Happened, World, make_app

pytestmark = pytest.mark.kafka
PATIENCE = 90.0


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.fixture
def world(kafka: Cluster, shell: Shell, tmp_path: Path) -> Iterator[World]:
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    log = KafkaLog(kafka.bootstrap_servers, session_timeout_ms=6_000)
    made = World(log, tmp_path, SystemClock(), 2, make_app(f"released{time.time_ns()}"))
    made.start_all()
    yield made
    made.close()


def typed(world: World, shell: Shell, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Runs a command line while the workers work."""
    name = world.app.name
    process = shell.start("instances", arguments[0], name, "counter", *arguments[1:], "-o", "json")
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None:
        assert time.monotonic() < deadline, "the command does not end"
        world.turn()
    out, err = process.communicate()
    return process.returncode, json.loads(out or "[]"), err


def test_those_for_which_an_expression_holds_are_released_and_no_others(
    world: World, shell: Shell
) -> None:
    for count, process in enumerate(("a", "b", "c"), 1):
        world.count(process, range(count))
        world.count(process, [9], what="park")
    deadline = time.monotonic() + PATIENCE
    while any(in_condition(world, each) is not Condition.PARKED for each in "abc"):
        assert time.monotonic() < deadline, world.told[-5:]
        world.turn(20)
    world.manager.healed = True
    order = ("release", "--where", 'count >= 2 and $condition == "parked"', "--why", "mended")

    code, rows, err = typed(world, shell, *order)
    assert (code, [row["uuid"] for row in rows]) == (0, ["b", "c"]), err
    assert "Nothing was ordered" in err
    code, rows, err = typed(world, shell, *order, "--yes")

    assert code == 0, err
    assert [(row["uuid"], row["verdict"], row["before"], row["after"]) for row in rows] == [
        ("b", "accepted", "parked", "idle"),
        ("c", "accepted", "parked", "idle"),
    ]
    assert [world.counts(each)[-1] for each in "bc"] == [(9, 3), (9, 4)]
    assert in_condition(world, "a") is Condition.PARKED
    code, rows, err = typed(world, shell, "stuck")
    assert (code, [row["uuid"] for row in rows]) == (1, ["a"]), err


def test_a_dead_letter_is_redriven_once(world: World) -> None:
    value = world.codec.encode_event(world.source, Happened("a,b", "go", 7))
    headers = (("pm-source", f"{world.source}-1-5".encode()), ("pm-error", b"?"))
    writer = world.writer
    writer.produce(world.names.dead_letters, value, b"k", headers, partition=0)
    writer.flush(10)
    redriver = Redriver(world.log, world.app, "counter", "ops", "a test", world.clock.now())

    _, given = redriver.redrive(["0:0"])
    (again,), nothing = redriver.redrive(["0:0"])

    deadline = time.monotonic() + PATIENCE
    while len(orders.audit(world.log, world.names)) < 2:
        assert time.monotonic() < deadline, world.told[-5:]
        world.turn(20)
    told = list(orders.answered(world.log, given, world.clock, PATIENCE))
    assert [each.verdict for each in told] == [Verdict.ACCEPTED] * 2
    assert (world.counts("a"), world.counts("b")) == ([(7, 1)], [(7, 1)])
    assert nothing == []
    assert again.refused.startswith("it is done with: redriven by ops: a test")
    [letter] = letters(world.log, world.names)
    assert letter.mark == "redriven by ops: a test"
