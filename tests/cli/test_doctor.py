"""`pmstream doctor`: exit codes, a table for people, JSON for programs."""

import json
import socket
from collections.abc import Iterator

import pytest

from pmstream.cli import doctor as command
from pmstream.cli import loading
from pmstream.config import Settings
from pmstream.operate.doctor import state
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.survey import ClusterFacts
from tests.cli.conftest import APP, Pmstream
from tests.operate.doctor.kit import Paper

FIELDS = ["check", "code", "severity", "where", "what", "remedy"]


@pytest.fixture(autouse=True)
def survey(log: MemoryLog, monkeypatch: pytest.MonkeyPatch) -> Iterator[Paper]:
    """What the command line finds where it looks for a Kafka to examine."""
    found = Paper(log)
    monkeypatch.setattr(loading, "_survey", lambda _settings: found)
    monkeypatch.setattr(state, "SPACE_LOW_BYTES", 0)  # the disk of this machine is not the matter
    monkeypatch.setattr(command, "SystemClock", lambda: log._broker.clock)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("PMSTREAM_BOOTSTRAP_SERVERS", f"127.0.0.1:{server.getsockname()[1]}")
        yield found


def test_a_healthy_cluster_is_exit_code_0(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("doctor", APP)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "doctor of bank: nothing is wrong"


def test_a_failure_is_exit_code_1_with_its_place_and_remedy(
    pmstream: Pmstream, bank: MemoryLog
) -> None:
    bank.delete_topic("bank.transfer-money.dead-letters")

    result = pmstream("doctor", APP)

    lines = result.stdout.splitlines()
    at = lines.index(f"{'topics':<18} FAILURE  bank.transfer-money.dead-letters: does not exist")
    assert result.exit_code == 1
    assert lines[at + 1].split("-> ")[1] == (
        f"`pmstream topics ensure {APP}` makes it [topic-missing]"
    )
    assert lines[-1] == "doctor of bank: 1 failure"


def test_warnings_alone_are_exit_code_0(
    pmstream: Pmstream, bank: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Settings.load().bootstrap_servers
    monkeypatch.setenv("PMSTREAM_BOOTSTRAP_SERVERS", f"{here},127.0.0.1:1")

    result = pmstream("doctor", APP)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "doctor of bank: 1 warning"


def test_json_has_the_same_fields_in_each_finding(pmstream: Pmstream, bank: MemoryLog) -> None:
    result = pmstream("doctor", APP, "-o", "json")

    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert all(list(each) == FIELDS for each in found)
    assert {"brokers", "topics", "round trip"} <= {each["check"] for each in found}


def test_without_scratch_it_makes_nothing_and_says_so(
    pmstream: Pmstream, bank: MemoryLog, survey: Paper
) -> None:
    result = pmstream("doctor", APP, "--no-scratch")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "doctor of bank: nothing is wrong (2 skipped)"
    assert survey.deleted == []


def test_a_cluster_that_does_not_answer_is_exit_code_69(
    pmstream: Pmstream, survey: Paper, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> ClusterFacts:
        raise Unavailable("Kafka at nowhere:9092 cannot be reached: refused")

    monkeypatch.setattr(survey, "cluster", away)

    result = pmstream("doctor", APP)

    assert result.exit_code == 69
    assert "FAILURE  Kafka at nowhere:9092 cannot be reached: refused" in result.stdout
    assert "disk space" in result.stdout


def test_an_app_that_does_not_exist_is_exit_code_2(pmstream: Pmstream) -> None:
    assert pmstream("doctor", "nowhere:app").exit_code == 2
