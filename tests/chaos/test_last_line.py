"""The last line of a chaos run has the fields that others rely on, and no more."""

import json

import pytest

from pmstream.chaos.counter import app
from pmstream.chaos.play import VERDICT, summarise
from pmstream.chaos.stage import Plan
from pmstream.chaos.verify import Verdict
from pmstream.chaos.watch import Fault, Watch
from pmstream.cli.dev import show
from pmstream.cli.output import Output
from pmstream.config import Settings
from pmstream.operate import topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog

PLAN = Plan(minutes=1, seed=7, workers=2, brokers=1, rate=10)


@pytest.fixture
def watch() -> Watch:
    log = MemoryLog(VirtualClock())
    topics.carry_out(topics.plan(app, log, Settings(), create_missing=True), log)
    made = Watch(log, lambda _topic, value: value, 3, {})
    made.faults = [Fault("cut", "all", 0.0, recovery=2.0), Fault("cut", "all", 9.0, recovery=4.0)]
    made.latencies = [0.1, 4.04]
    return made


def test_the_last_line_is_the_verdict(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    show(summarise(PLAN, Verdict(events=12), watch, 60.0), Output.JSON, VERDICT)

    details, last = capsys.readouterr().out.splitlines()
    assert json.loads(last) == {
        "events": 12,
        "faults": {"cut": 2},
        "lost": 0,
        "duplicated": 0,
        "misordered": 0,
        "state_mismatches": 0,
        "worst_stall_s": 4.0,
        "recovery_p50_s": 4.0,
        "recovery_p99_s": 4.0,
    }
    assert json.loads(details)["open"] == 0
    assert json.loads(details)["seed"] == 7


def test_what_is_wrong_is_told_before_it(watch: Watch, capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(events=12)
    verdict.lost = verdict.blame("commands lost", ["a 0-1"])

    show(summarise(PLAN, verdict, watch, 60.0), Output.JSON, VERDICT)

    details, last = capsys.readouterr().out.splitlines()
    assert json.loads(details)["wrong"] == ["1 commands lost, such as a 0-1"]
    assert json.loads(last)["lost"] == 1
