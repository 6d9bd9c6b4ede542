"""The table of metrics keeps the rules of Prometheus' names."""

import re

import pytest

from pmstream.metrics import METRICS, PARTITION, WORKER, Kind, Metric

UNITS = ("_seconds", "_bytes", "_records", "_inputs", "_keys")
STATES = re.compile(r"info|ready|stopped|.*_(up|joined|running|blocked|pinned|stopped)")
COUNTS = {"instances", "timers_pending"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_name_says_its_unit(metric: Metric) -> None:
    assert re.fullmatch(r"pmstream_[a-z_]+", metric.full_name)
    assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER)
    if metric.kind is not Kind.COUNTER:
        is_plain = STATES.fullmatch(metric.name) or metric.name in COUNTS
        assert is_plain or metric.name.endswith(UNITS)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_meaning_is_a_sentence(metric: Metric) -> None:
    assert metric.help[0].isupper() or metric.help[0] == "1"
    assert metric.help.endswith(".")


def test_names_are_unique() -> None:
    names = [each.name for each in METRICS]
    assert len(set(names)) == len(names)


def test_all_that_is_of_a_worker_is_found_by_the_same_labels() -> None:
    for metric in METRICS:
        if "worker" in metric.labels:
            whole = PARTITION if "partition" in metric.labels else WORKER
            assert metric.labels[: len(whole)] == whole
            assert len(metric.labels) <= len(whole) + 2
