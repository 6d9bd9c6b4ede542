"""The pipe from a worker to its supervisor: whole reports, and nobody who waits for the other."""

import os
import threading
from collections.abc import Iterator

import pytest

from pmstream.runtime.report import VARIABLE, Reporter, Reports
from pmstream.runtime.vitals import Condition, Part, Vitals

MANY = 3_000
"""Partitions whose report is longer than any pipe takes at once."""


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> Iterator[Reports]:
    """The supervisor's end; a Reporter made meanwhile writes to it."""
    made = Reports()
    monkeypatch.setenv(VARIABLE, str(made.write_descriptor))
    yield made
    made.close()
    made.started()


def large() -> Vitals:
    parts = [Part("inbox", n, Condition.RUNNING, "", {"lag_records": n}) for n in range(MANY)]
    return Vitals(joined=True, parts=parts, values={"inputs_total": {"handled": 7}})


def small() -> Vitals:
    return Vitals(values={"commits_total": 3})


def test_a_beat_brings_what_the_worker_tells(reports: Reports) -> None:
    Reporter(headroom_of_s=120).beat(small)
    reports.take()

    assert reports.vitals is not None
    assert reports.vitals.values["commits_total"] == 3
    headroom, longest = (
        reports.vitals.values[name] for name in ("poll_headroom_seconds", "longest_turn_seconds")
    )
    assert isinstance(headroom, float)
    assert isinstance(longest, float)
    assert headroom + longest == pytest.approx(120)


def test_it_tells_only_once_a_second(reports: Reports) -> None:
    asked: list[int] = []

    def vitals() -> Vitals:
        asked.append(1)
        return small()

    reporter = Reporter()
    for _ in range(100):
        reporter.beat(vitals)

    assert len(asked) == 1


def test_a_report_longer_than_the_pipe_comes_whole(reports: Reports) -> None:
    reporter = Reporter()
    reporter.beat(large)
    reports.take()
    assert reports.vitals is None, "too small to prove anything"

    for _ in range(20):
        reporter.beat(large)
        reports.take()

    assert reports.vitals is not None
    assert [part.number for part in reports.vitals.parts] == list(range(MANY))
    assert reports.vitals.values["inputs_total"] == {"handled": 7}


def test_a_supervisor_that_reads_nothing_holds_up_nobody(reports: Reports) -> None:
    reporter = Reporter()
    for _ in range(50):
        reporter._next = 0.0  # a second later
        reporter.beat(large)  # would stand still for ever in a pipe that is full

    for _ in range(20):
        reports.take()
        reporter.beat()

    assert reports.vitals is not None


def test_the_last_word_follows_what_is_still_under_way(reports: Reports) -> None:
    reporter = Reporter()
    reporter.beat(large)
    ending = threading.Thread(target=reporter.ends, args=("account 7 is poisoned" * 1_000,))
    ending.start()
    while ending.is_alive():
        reports.take()
    reports.take()

    assert reports.vitals is not None
    assert reports.reason.startswith("account 7 is poisoned")
    assert len(reports.reason) == 1_000


def test_what_others_write_into_the_pipe_is_no_sign_of_life(reports: Reports) -> None:
    before = reports.beat_at
    os.write(reports.write_descriptor, b"hello\n{}[]\n\xff\n")
    reports.take()

    assert (reports.beat_at, reports.vitals, reports.reason) == (before, None, "")


def test_without_a_supervisor_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)

    def vitals() -> Vitals:
        raise AssertionError("nobody listens")

    assert Reporter().beat(vitals) is False
