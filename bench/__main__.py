"""`./dev bench`: pmstream beside its peers, the same job on the same broker, in one run.

    ./dev bench --quick                      a guard: pmstream against the bare loop
    ./dev bench --peer pmstream --peer quix  some of them
    ./dev bench --peer pmstream --workers 2  two instances workers against one
    ./dev bench --peer pmstream-traced-off --peer pmstream-traced-1   what traces cost
    ./dev bench -o json                      all; the last line holds ratios and runs

Runs alternate, behind two that do not count: in them the broker compiles itself. What a peer wrote
is verified, and a run that lost, doubled or misordered anything is void. More: `python -m
bench.axes`, `.restore`, `.latency`, `.recovery`, `.memory`, `.path`, `.timers`, `.neighbours`.
"""

import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from bench.contestants import PEERS
from bench.grounds import Missing
from bench.peers import Peer
from bench.race import Plan, run, warm_up
from bench.rig import rigged
from bench.stage import PARTITIONS, say

GUARD = 0.25
"""Below this share of the bare loop's speed `--quick` fails: rounds reach 0.31 to 0.44 today, and
0.65 is to be."""

PAIRS = (
    ("pmstream", "bare"),
    ("pmstream", "bare-fastavro"),
    ("pmstream", "quix"),
    ("pmstream", "quix-avro"),
    ("pmstream", "kstreams"),
    ("pmstream-two-hops", "quix-group-by"),
    ("pmstream-two-hops", "quix-avro-group-by"),
    ("pmstream-two-hops", "pmstream"),
    ("pmstream-traced-off", "pmstream"),
    ("pmstream-traced-0", "pmstream-traced-off"),
    ("pmstream-traced-1", "pmstream-traced-off"),
    ("pmstream-traced-100", "pmstream-traced-off"),
    ("pmstream-traced-all", "pmstream-traced-off"),
    ("pmstream-traced-1", "pmstream"),
)
"""Ratios that are told, of those that ran."""

QUICK = ("pmstream", "bare")

_TIMES = " x "
"""Between a peer's name and its number of instances workers, when it has more than one."""

_COLUMNS = (
    ("rate", "events/s"),
    ("cpu_s_per_million", "CPU s/M"),
    ("broker_cpu_s_per_million", "broker s/M"),
    ("peak_mib", "MiB"),
)

app = typer.Typer(add_completion=False)


@app.command()
def main(  # noqa: PLR0913 - one option each
    *,
    peer: Annotated[list[str], typer.Option(help=f"One of {', '.join(PEERS)}; repeatable.")] = [],  # noqa: B006
    runs: Annotated[int, typer.Option(min=1, help="Rounds.")] = 3,
    events: Annotated[int, typer.Option(min=1_000, help="To drain; times 4 for a JVM.")] = 500_000,
    keys: Annotated[int, typer.Option(min=1, help="Processes.")] = 10_000,
    skew: Annotated[float, typer.Option(help="Zipf's exponent; 0 is uniform.")] = 0.0,
    interval_ms: Annotated[int, typer.Option(help="Commit interval.")] = 100,
    batch: Annotated[int, typer.Option(help="Most records of a batch.")] = 2_000,
    workers: Annotated[
        int, typer.Option(min=1, max=8, help="More than 1: pmstream with so many as well.")
    ] = 1,
    partitions: Annotated[int, typer.Option(min=1, help="Of each topic.")] = PARTITIONS,
    state_bytes: Annotated[int, typer.Option(help="Of each process' state.")] = 200,
    pinned: Annotated[bool, typer.Option(help="Client on one core, broker on the other.")] = True,
    quick: Annotated[bool, typer.Option(help="Two rounds of pmstream and the bare loop.")] = False,
    output: Annotated[str, typer.Option("-o", help="table or json.")] = "table",
) -> None:
    """Measures; exits with 1 if a run is void, or --quick finds pmstream too slow."""
    default = QUICK if quick else [each.name for each in PEERS.values() if not each.aside]
    names = list(peer) or list(default)
    unknown = [each for each in names if each not in PEERS]
    if unknown:
        raise typer.BadParameter(f"no peer {', '.join(unknown)}: choose of {', '.join(PEERS)}")
    if quick:
        runs, events = 2, min(events, 300_000)
    plan = Plan(
        events=events,
        keys=keys,
        skew=skew,
        interval_ms=interval_ms,
        batch=batch,
        partitions=partitions,
        pinned=pinned and workers == 1,
        environment={"BENCH_STATE_BYTES": str(state_bytes)},
    )
    found = contest(contestants(names, workers), plan, runs)
    ratios = ratios_of(found)
    if output == "table":
        _show(found, ratios)
    print(json.dumps({"ratios": ratios, "runs": found}))
    bad = [each for each in found if not each["valid"]]
    slow = quick and ratios.get("pmstream/bare", 0) < GUARD
    if slow:
        say(f"pmstream reaches {ratios.get('pmstream/bare')} of the bare loop, less than {GUARD}")
    sys.exit(1 if bad or slow else 0)


def contestants(names: Sequence[str], workers: int) -> list[tuple[Peer, int]]:
    """Peers and how many instances workers each has; pmstream twice if `workers` is above 1.

    All processes share all cores then: with one worker alone pinned, the ratio would be unfair.
    """
    found = []
    for peer in (PEERS[name] for name in names):
        found.append((peer, 1))
        if workers > 1 and peer.keyed is not None:
            found.append((replace(peer, name=f"{peer.name}{_TIMES}{workers}"), workers))
    return found


def contest(of: Sequence[tuple[Peer, int]], plan: Plan, runs: int) -> list[dict[str, Any]]:
    """All runs, in alternating rounds."""
    found = []
    with rigged(pinned=plan.pinned) as rig:
        left_out = set[str]()
        warm_up(rig, pinned=plan.pinned)
        for number in range(runs):
            for peer, workers in of:
                if peer.name in left_out:
                    continue
                # Two processes have a core each, whatever else shares them.
                pinned = plan.pinned and len(peer.processes) == 1
                try:
                    one = run(rig, peer, replace(plan, pinned=pinned, workers=workers))
                except Missing as missing:
                    say(f"{peer.name} is left out: {missing}")
                    left_out.add(peer.name)
                    continue
                found.append(one)
                told = f"{one['rate']} events/s" if one["valid"] else f"void: {one['faults']}"
                say(f"round {number + 1} of {runs}: {peer.name}: {told}")
    return found


def medians(found: Sequence[Mapping[str, Any]], figure: str) -> dict[str, float]:
    """Peer to the median of a figure over its runs that count."""
    by_peer: dict[str, list[float]] = {}
    for each in found:
        if each["valid"]:
            by_peer.setdefault(each["peer"], []).append(each[figure])
    return {peer: statistics.median(values) for peer, values in by_peer.items()}


def ratios_of(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many times as fast, of median rates; also of more workers against one."""
    rates = medians(found, "rate")
    several = [(name, name.rpartition(_TIMES)[0]) for name in rates if _TIMES in name]
    return {
        f"{one}/{other}": round(rates[one] / rates[other], 3)
        for one, other in (*PAIRS, *several)
        if one in rates and rates.get(other)
    }


def _show(found: Sequence[Mapping[str, Any]], ratios: Mapping[str, float]) -> None:
    columns = {title: medians(found, figure) for figure, title in _COLUMNS}
    say("".join(f"{title:>14}" for title in ("peer".ljust(14), *columns)))
    for name in dict.fromkeys(each["peer"] for each in found if each["valid"]):
        values = "".join(f"{values[name]:>14,.1f}" for values in columns.values())
        spread = [each["rate"] for each in found if each["peer"] == name and each["valid"]]
        say(f"{name:<20}{values}   {min(spread):,} to {max(spread):,}")
    for pair, ratio in ratios.items():
        say(f"{pair:<34} {ratio:.2f}")


if __name__ == "__main__":
    app()
