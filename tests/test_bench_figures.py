"""What the benches make of what they measured: gates, notes, latencies, sizes, contestants."""

import json
from pathlib import Path
from typing import Any

import pytest

from bench import latency, memory, restore
from bench.__main__ import contestants, ratios_of
from bench.gates import Gate, conclude, missed
from bench.job import Order, advance, command_of, key_sequence, make_event, process_name
from bench.latency import Load, Seen, judged
from bench.solo import Note, read_notes, restored

# Gates


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (9, ["speed is 9, less than 10"]),
        (10, []),
        (20, []),
        (21, ["speed is 21, more than 20"]),
        (None, ["speed was not measured"]),
    ],
)
def test_a_gate_has_two_sides(value: float | None, told: list[str]) -> None:
    figures = {} if value is None else {"speed": value}

    assert missed(figures, [Gate("speed", least=10, most=20)]) == told


@pytest.mark.parametrize(
    ("faults", "beyond", "code"), [([], [], 0), (["lost"], [], 1), ([], ["slow"], 1)]
)
def test_a_bench_ends_with_its_figures_and_a_code(
    faults: list[str], beyond: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        conclude({"speed": 9}, faults, beyond)

    out, err = capsys.readouterr()
    assert ended.value.code == code
    assert json.loads(out.splitlines()[-1]) == {
        "speed": 9,
        "valid": not faults,
        "faults": faults,
        "missed": beyond,
    }
    assert err.splitlines() == [*faults, *beyond]


# Notes of a worker


def test_partitions_are_restored_from_the_first_opened_to_the_last_running() -> None:
    notes = [
        Note(1.0, "restoring", 0, "from 0"),
        Note(1.5, "restoring", 1, "from 0"),
        Note(3.0, "running", 1, "40 records restored"),
        Note(4.0, "running", 0, "60 records restored"),
    ]

    found = restored(notes, 2)

    assert found is not None
    assert (found.began, found.seconds, found.records) == (1.0, 3.0, 100)


def test_partitions_are_not_restored_before_all_run() -> None:
    notes = [
        Note(1.0, "restoring", 0, "from 0"),
        Note(1.0, "restoring", 1, "from 0"),
        Note(3.0, "running", 1, "40 records restored"),
    ]

    assert restored(notes, 2) is None


# Restore


def test_samples_have_no_key_in_common() -> None:
    one, other = restore.sampled(1_000, (10, 10))

    assert len({*one, *other}) == 20
    assert [len(each) for each in restore.sampled(15, (10, 10))] == [10, 5]


def test_a_restore_that_read_too_little_is_told() -> None:
    assert restore.faults_in("the empty store", 9, 10, 20) == [
        "the empty store read 9 records of the changelog, not 10 to 20"
    ]
    assert restore.faults_in("the empty store", 10, 10, 20) == []


# Latency

LOAD = Load(rate=10, warm_seconds=1, seconds=2, keys=3)


def seen_after(millis: float) -> list[Seen]:
    """All commands, those of the warm-up a second late, the others by so much."""
    states: dict[str, Order] = {}
    found = []
    for seq, key in enumerate(key_sequence(LOAD.events, LOAD.keys)):
        event = make_event(seq, process_name(key), seq * 1_000_000)
        state = states.get(event.process, Order())
        late = 1_000_000 if seq < LOAD.first else round(millis * 1_000)
        command = command_of(state, event)
        found.append(Seen(event.process.encode(), command, event.occurred_at + late))
        states[event.process] = advance(state, event)
    return found


def test_latency_is_of_what_came_after_the_warm_up() -> None:
    assert judged(LOAD, seen_after(12.5)) == {
        "events": 20,
        "p50_ms": 12.5,
        "p99_ms": 12.5,
        "max_ms": 12.5,
        "faults": [],
    }


def test_a_command_that_never_came_makes_the_run_void() -> None:
    assert judged(LOAD, seen_after(1)[:-1])["faults"] == ["29 commands for 30 events"]


def test_nothing_seen_has_no_figures() -> None:
    found = judged(LOAD, [])

    assert "p50_ms" not in found
    assert found["faults"] == ["0 commands for 30 events"]


@pytest.mark.parametrize(
    ("rate", "hops", "p99", "told"),
    [
        (1_000, 2, 111, ["2 hops at 1000 events/s: p99_ms is 111, more than 110.0"]),
        (1_000, 2, 110, []),
        (1_000, 1, 111, []),
        (5_000, 2, 111, []),
    ],
)
def test_two_hops_at_a_thousand_a_second_have_a_gate(
    rate: int, hops: int, p99: float, told: list[str]
) -> None:
    assert latency.beyond([{"rate": rate, "hops": hops, "p50_ms": 50, "p99_ms": p99}]) == told


# Memory


def test_no_run_has_more_instances_than_the_most() -> None:
    assert memory.sizes([12, 64], 100_000, 1_200_000) == [(12, 100_000), (64, 18_750)]
    assert memory.sizes([64], 10, 1) == [(64, 1)]


@pytest.mark.parametrize(
    ("partitions", "touched", "told"),
    [
        (12, 301, ["12 partitions of 100000: touched_mib is 301, more than 300.0"]),
        (12, 300, []),
        (64, 301, []),
    ],
)
def test_twelve_partitions_have_a_gate(partitions: int, touched: int, told: list[str]) -> None:
    run: dict[str, Any] = {"partitions": partitions, "instances": 100_000}

    assert memory.beyond([{**run, "restored_mib": 1, "touched_mib": touched}]) == told


# Two workers against one


def test_more_workers_run_beside_one_and_only_of_pmstream() -> None:
    found = [(peer.name, workers) for peer, workers in contestants(["pmstream", "bare"], 2)]

    assert found == [("pmstream", 1), ("pmstream x 2", 2), ("bare", 1)]
    assert [workers for _, workers in contestants(["pmstream", "bare"], 1)] == [1, 1]


def test_the_ratio_of_two_workers_to_one_is_told() -> None:
    runs = [
        {"peer": "pmstream", "valid": True, "rate": 20},
        {"peer": "pmstream x 2", "valid": True, "rate": 37},
    ]

    assert ratios_of(runs) == {"pmstream x 2/pmstream": 1.85}


def test_notes_that_are_half_written_wait(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_text('[1.0, "running", 0, "3 records restored"]\n[2.0, "runn')

    assert read_notes(path) == [Note(1.0, "running", 0, "3 records restored")]
    assert read_notes(tmp_path / "none") == []
