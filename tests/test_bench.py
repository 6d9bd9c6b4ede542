"""The judge of `./dev bench` sees what is lost, doubled or misordered; ratios are of medians."""

from collections.abc import Callable

import msgspec
import pytest

from bench.__main__ import GUARD, ratios_of
from bench.contestants import PEERS
from bench.job import (
    Order,
    ShipOrder,
    advance,
    checksum,
    command_of,
    expected_end,
    faults_of,
    key_sequence,
    make_event,
    process_name,
    state_end,
)
from bench.peers import end_of, quantiles
from bench.rig import traced_headers
from bench.sink import sink
from pmstream.runtime.spans import Span
from pmstream.runtime.telemetry import Telemetry, otlp
from pmstream.runtime.traceparent import is_context, next_context, sampled

EVENTS, KEYS = 40, 7

Commands = list[tuple[bytes | None, ShipOrder]]


def played() -> tuple[Commands, dict[str, Order]]:
    """What a faultless peer writes."""
    commands: Commands = []
    states: dict[str, Order] = {}
    for seq, key in enumerate(key_sequence(EVENTS, KEYS)):
        event = make_event(seq, process_name(key), seq)
        state = states.get(event.process, Order())
        commands.append((event.process.encode(), command_of(state, event)))
        states[event.process] = advance(state, event)
    return commands, states


def test_a_faultless_peer_has_no_faults() -> None:
    commands, states = played()

    assert list(faults_of(EVENTS, commands)) == []
    packed = {name.encode(): msgspec.msgpack.encode(state) for name, state in states.items()}
    assert checksum(end_of(PEERS["bare"], packed)) == checksum(expected_end(EVENTS, KEYS))


def test_a_quoted_key_is_the_same_process() -> None:
    """So Quix Streams writes it behind a group_by."""
    record = {b'"a"|"s"': msgspec.json.encode(Order(1, 2, "open", "x"))}

    assert end_of(PEERS["quix-group-by"], record) == {"a": (1, 2, "x")}


def lose(commands: Commands) -> None:
    del commands[-1]


def double(commands: Commands) -> None:
    commands.append(commands[0])


def misorder(commands: Commands) -> None:
    first, process = commands[0][1], commands[0][0]
    later = next(n for n, each in enumerate(commands) if n and each[0] == process)
    commands[0], commands[later] = commands[later], (process, first)


def misplace(commands: Commands) -> None:
    commands[0] = (b"elsewhere", commands[0][1])


def invent(commands: Commands) -> None:
    commands.append((commands[0][0], msgspec.structs.replace(commands[0][1], seq=-1)))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lose, "39 commands for 40 events"),
        (double, "came twice"),
        (misorder, "has counted"),
        (misplace, "has key b'elsewhere'"),
        (invent, "is for no event"),
    ],
)
def test_each_fault_is_told(spoil: Callable[[Commands], None], told: str) -> None:
    commands, _ = played()

    spoil(commands)

    assert any(told in fault for fault in faults_of(EVENTS, commands))


def test_another_state_has_another_checksum() -> None:
    end = dict(expected_end(EVENTS, KEYS))
    name = next(iter(end))
    other = end | {name: state_end(msgspec.json.encode(Order(1, 2, "open", "x")))}

    assert checksum(other) != checksum(end)


def test_ratios_are_of_medians_and_leave_void_runs_out() -> None:
    runs = [
        {"peer": "pmstream", "valid": True, "rate": 10},
        {"peer": "pmstream", "valid": True, "rate": 30},
        {"peer": "pmstream", "valid": True, "rate": 20},
        {"peer": "pmstream", "valid": False, "faults": ["not drained"]},
        {"peer": "bare", "valid": True, "rate": 40},
    ]

    assert ratios_of(runs) == {"pmstream/bare": 0.5}
    assert 0 < GUARD < 1


@pytest.mark.parametrize(("share", "count"), [(0.0, 0), (0.01, 10), (1.0, 1_000)])
def test_so_many_events_ask_for_spans_as_a_peer_says(share: float, count: int) -> None:
    headers = [tuple(traced_headers(number, share)) for number in range(1_000)]

    assert all(is_context(value) for [(_, value)] in headers)
    assert sum(sampled(each) is not None for each in headers) == count


def test_the_sink_takes_what_the_real_exporter_sends() -> None:
    with sink() as collector:
        telemetry = Telemetry(otlp(collector.endpoint), "bench")
        for _ in range(2):
            telemetry.take([Span(name="x", context=next_context(None), began=1)])
            telemetry.flush()
        telemetry.close(10)

    assert telemetry.counts() == {"sent": 2, "failed": 0, "lost": 0}
    assert collector.size > 0


def test_what_tracing_costs_is_only_measured_when_asked_for() -> None:
    assert {each.name for each in PEERS.values() if each.aside} == {
        name for name in PEERS if "traced" in name
    }


def test_quantiles_are_milliseconds() -> None:
    assert quantiles([0.003, 0.001, 0.002]) == {
        "n": 3,
        "p50_ms": 2.0,
        "p99_ms": 3.0,
        "max_ms": 3.0,
    }
    assert quantiles([]) == {"n": 0}
