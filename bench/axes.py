"""How pmstream's cost grows along each axis, the others at their base: pmstream alone.

    python -m bench.axes                                all axes, one round
    python -m bench.axes --axis state --axis keys --events 1000000 --runs 3 -o json

Axes: hops, batch, interval, state, keys, skew, workers, partitions. The base is direct mode, 200
bytes of state, 10 000 keys, uniform, 4 partitions, batches of 2 000 or 100 ms, one worker; it is
measured in each round. Every run is verified as in `./dev bench`; the last line is JSON, the exit
code 1 when a run is void. More keys than events cannot be met and are left out.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from bench.contestants import PEERS
from bench.race import Plan, run, warm_up
from bench.rig import rigged
from bench.stage import say

DIRECT, TWO_HOPS = "pmstream", "pmstream-two-hops"
BASE = "base"

AXES: Mapping[str, Sequence[float | str]] = {
    "hops": (DIRECT, TWO_HOPS),
    "batch": (200, 2_000, 5_000),
    "interval": (20, 100, 1_000),
    "state": (200, 2_000, 20_000),
    "keys": (1_000, 10_000, 100_000, 1_000_000),
    "skew": (0.0, 1.1),
    "workers": (1, 2),
    "partitions": (4, 12, 64),
}
"""Each axis and its points."""

_FIELDS = {"batch": "batch", "interval": "interval_ms", "keys": "keys", "skew": "skew"}
_COLUMNS = {
    "rate": "events/s",
    "cpu_s_per_million": "CPU s/M",
    "broker_cpu_s_per_million": "broker s/M",
    "peak_mib": "MiB",
    "commit_p50_ms": "commit p50",
    "commit_p99_ms": "p99 ms",
}


class Point(Struct, frozen=True):
    """One point of an axis: a peer and its plan."""

    axis: str
    value: float | str
    peer: str
    plan: Plan


def points(base: Plan, axes: Sequence[str]) -> list[Point]:
    """The base, then the points of each axis that differ from it and can be met.

    Two hops and several workers share both cores, and so does what they are compared with: the
    first point of those axes is measured again, not pinned.
    """
    found = [Point(BASE, "", DIRECT, base)]
    for axis in axes:
        for value in AXES[axis]:
            point = _point(base, axis, value)
            if point.plan.keys > point.plan.events:
                say(f"{axis} {value}: left out, it needs --events {point.plan.keys} or more")
            elif (point.peer, point.plan) != (DIRECT, base):
                found.append(point)
    return found


def _point(base: Plan, axis: str, value: Any) -> Point:
    if axis == "hops":
        return Point(axis, value, value, replace(base, pinned=False))
    if axis == "workers":
        plan = replace(base, workers=value, pinned=False)
    elif axis == "state":
        plan = replace(base, environment={"BENCH_STATE_BYTES": str(value)})
    elif axis == "partitions":
        plan = replace(base, partitions=value)
    else:
        plan = replace(base, **{_FIELDS[axis]: value})
    return Point(axis, value, DIRECT, plan)


def row(point: Point, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Medians over the runs of a point that count, and what made others void."""
    valid = [each for each in runs if each["valid"]]
    found: dict[str, Any] = {"axis": point.axis, "value": point.value, "runs": len(valid)}
    for figure in ("rate", "cpu_s_per_million", "broker_cpu_s_per_million", "peak_mib"):
        # A run too short to be sampled twice tells no CPU time.
        if values := [each[figure] for each in valid if each[figure]]:
            found[figure] = statistics.median(values)
    commits = [each["commit"][0] for each in valid if each["commit"][0]]
    for figure in ("p50_ms", "p99_ms"):
        known = [each[figure] for each in commits if figure in each]
        if known:
            found[f"commit_{figure}"] = statistics.median(known)
    return {**found, "faults": [fault for each in runs for fault in each["faults"]]}


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows as lines."""
    lines = [f"{'axis':<12}{'value':>18}" + "".join(f"{each:>12}" for each in _COLUMNS.values())]
    for each in rows:
        cells = "".join(
            f"{each[name]:>12,.1f}" if name in each else f"{'-':>12}" for name in _COLUMNS
        )
        lines.append(f"{each['axis']:<12}{each['value']!s:>18}{cells}")
    return lines


def measure(of: Sequence[Point], runs: int) -> list[dict[str, Any]]:
    """All points, in alternating rounds on one broker."""
    found: list[list[dict[str, Any]]] = [[] for _ in of]
    with rigged(pinned=of[0].plan.pinned) as rig:
        warm_up(rig, pinned=of[0].plan.pinned)
        for number in range(runs):
            for results, point in zip(found, of, strict=True):
                one = run(rig, PEERS[point.peer], point.plan)
                results.append(one)
                told = f"{one['rate']} events/s" if one["valid"] else f"void: {one['faults']}"
                say(f"round {number + 1} of {runs}: {point.axis} {point.value}: {told}")
    return [row(point, results) for point, results in zip(of, found, strict=True)]


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--axis", action="append", choices=[*AXES], help="repeatable; else all")
    parser.add_argument("--events", type=int, default=100_000, help="to drain at each point")
    parser.add_argument("--runs", type=int, default=1, help="rounds")
    parser.add_argument("--no-pinned", action="store_true", help="broker and worker share cores")
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table")
    given = parser.parse_args()
    base = Plan(
        events=given.events,
        pinned=not given.no_pinned,
        environment={"BENCH_STATE_BYTES": "200"},
    )
    rows = measure(points(base, given.axis or [*AXES]), given.runs)
    if given.output == "table":
        for line in table(rows):
            say(line)
    print(json.dumps({"events": given.events, "rows": rows}))
    sys.exit(1 if any(each["faults"] for each in rows) else 0)


if __name__ == "__main__":
    main()
