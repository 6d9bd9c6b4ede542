"""`python -m bench.axes`: which points it measures, and what it makes of their runs."""

from typing import Any

import pytest
from msgspec.structs import asdict

from bench.axes import AXES, BASE, DIRECT, TWO_HOPS, Point, points, row, table
from bench.contestants import PEERS
from bench.race import Plan

PLAN = Plan(events=1_000_000, environment={"BENCH_STATE_BYTES": "200"})


def changed(plan: Plan) -> set[str]:
    """What another plan than the base has of its own."""
    base = asdict(PLAN)
    return {name for name, value in asdict(plan).items() if value != base[name]}


def test_the_base_is_measured_once_and_first() -> None:
    found = points(PLAN, [*AXES])

    assert found[0] == Point(BASE, "", DIRECT, PLAN)
    assert (DIRECT, PLAN) not in [(each.peer, each.plan) for each in found[1:]]


@pytest.mark.parametrize(
    ("axis", "values", "fields"),
    [
        ("batch", [200, 5_000], {"batch"}),
        ("interval", [20, 1_000], {"interval_ms"}),
        ("state", [2_000, 20_000], {"environment"}),
        ("keys", [1_000, 100_000, 1_000_000], {"keys"}),
        ("skew", [1.1], {"skew"}),
        ("partitions", [12, 64], {"partitions"}),
    ],
)
def test_an_axis_changes_one_thing(axis: str, values: list[float], fields: set[str]) -> None:
    found = points(PLAN, [axis])[1:]

    assert [each.value for each in found] == values
    assert all(changed(each.plan) == fields for each in found)
    assert {each.peer for each in found} == {DIRECT}


def test_two_processes_are_compared_with_one_that_is_not_pinned_either() -> None:
    hops, workers = points(PLAN, ["hops"])[1:], points(PLAN, ["workers"])[1:]

    assert [(each.peer, changed(each.plan)) for each in hops] == [
        (DIRECT, {"pinned"}),
        (TWO_HOPS, {"pinned"}),
    ]
    assert [(each.plan.workers, each.plan.pinned) for each in workers] == [(1, False), (2, False)]


def test_more_keys_than_events_are_left_out_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    small = Plan(events=10_000)

    assert [each.value for each in points(small, ["keys"])[1:]] == [1_000]
    assert "keys 100000: left out, it needs --events 100000 or more" in capsys.readouterr().err


def test_every_point_has_a_peer() -> None:
    assert {each.peer for each in points(PLAN, [*AXES])} <= PEERS.keys()


def ran(rate: int, p99: float, **more: Any) -> dict[str, Any]:
    return {
        "valid": True,
        "faults": [],
        "rate": rate,
        "cpu_s_per_million": 80.0,
        "broker_cpu_s_per_million": 20.0,
        "peak_mib": 150,
        "commit": [{"p50_ms": 20.0, "p99_ms": p99}],
        **more,
    }


def test_a_row_has_medians_of_what_counts_and_the_faults_of_the_rest() -> None:
    point = points(PLAN, ["skew"])[1]
    void = {"valid": False, "faults": ["not drained"]}

    found = row(point, [ran(10, 50.0), ran(30, 70.0), ran(20, 60.0), void])

    assert found == {
        "axis": "skew",
        "value": 1.1,
        "runs": 3,
        "rate": 20,
        "cpu_s_per_million": 80.0,
        "broker_cpu_s_per_million": 20.0,
        "peak_mib": 150,
        "commit_p50_ms": 20.0,
        "commit_p99_ms": 60.0,
        "faults": ["not drained"],
    }


def test_a_point_without_a_run_that_counts_has_no_figures() -> None:
    found = row(points(PLAN, ["skew"])[1], [{"valid": False, "faults": ["not drained"]}])

    assert "rate" not in found
    assert table([found])[1].split() == ["skew", "1.1", "-", "-", "-", "-", "-", "-"]


def test_what_was_not_told_is_left_out() -> None:
    unsampled = ran(10, 1.0, commit=[None], cpu_s_per_million=0.0)

    found = row(points(PLAN, ["skew"])[1], [unsampled])

    assert found["rate"] == 10
    assert not {"commit_p99_ms", "cpu_s_per_million"} & found.keys()
