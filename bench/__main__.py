"""`./dev bench`: pmstream beside its peers, the same job on the same broker, in one run.

    ./dev bench --quick                      a guard: pmstream against the bare loop
    ./dev bench --peer pmstream --peer quix  some of them
    ./dev bench -o json                      all; the last line holds ratios and runs

Runs alternate; what a peer wrote is verified, and a run that lost, doubled or misordered anything
is void. More: `python -m bench.path`, `.timers`, `.neighbours`.
"""

import json
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from bench.contestants import PEERS
from bench.grounds import Missing
from bench.race import Plan, run
from bench.rig import JVM, Rig
from bench.stage import say
from pmstream.devkafka import Cluster

GUARD = 0.3
"""Below this share of the bare loop's speed `--quick` fails: it is reached today; 0.65 is to be."""

PAIRS = (
    ("pmstream", "bare"),
    ("pmstream", "bare-fastavro"),
    ("pmstream", "quix"),
    ("pmstream", "kstreams"),
    ("pmstream-two-hops", "quix-group-by"),
    ("pmstream-two-hops", "pmstream"),
)
"""Ratios that are told, of those that ran."""

QUICK = ("pmstream", "bare")

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
    workers: Annotated[int, typer.Option(help="Instances workers of pmstream.")] = 1,
    state_bytes: Annotated[int, typer.Option(help="Of each process' state.")] = 200,
    pinned: Annotated[bool, typer.Option(help="Client on one core, broker on the other.")] = True,
    quick: Annotated[bool, typer.Option(help="Two rounds of pmstream and the bare loop.")] = False,
    output: Annotated[str, typer.Option("-o", help="table or json.")] = "table",
) -> None:
    """Measures; exits with 1 if a run is void, or --quick finds pmstream too slow."""
    names = list(peer) or list(QUICK if quick else PEERS)
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
        workers=workers,
        pinned=pinned,
        environment={"BENCH_STATE_BYTES": str(state_bytes)},
    )
    found = contest(names, plan, runs)
    ratios = ratios_of(found)
    if output == "table":
        _show(found, ratios)
    print(json.dumps({"ratios": ratios, "runs": found}))
    bad = [each for each in found if not each["valid"]]
    slow = quick and ratios.get("pmstream/bare", 0) < GUARD
    if slow:
        say(f"pmstream reaches {ratios.get('pmstream/bare')} of the bare loop, less than {GUARD}")
    sys.exit(1 if bad or slow else 0)


def contest(names: Sequence[str], plan: Plan, runs: int) -> list[dict[str, Any]]:
    """All runs, in alternating rounds."""
    found = []
    with (
        tempfile.TemporaryDirectory(prefix="pmstream-bench-") as directory,
        Cluster(progress=say, jvm=JVM) as cluster,
    ):
        rig, left_out = Rig(cluster, Path(directory), pinned=plan.pinned), set[str]()
        for number in range(runs):
            for name in names:
                if name in left_out:
                    continue
                # Two processes have a core each, whatever else shares them.
                pinned = plan.pinned and len(PEERS[name].processes) * plan.workers == 1
                try:
                    one = run(rig, PEERS[name], replace(plan, pinned=pinned))
                except Missing as missing:
                    say(f"{name} is left out: {missing}")
                    left_out.add(name)
                    continue
                found.append(one)
                told = f"{one['rate']} events/s" if one["valid"] else f"void: {one['faults']}"
                say(f"round {number + 1} of {runs}: {name}: {told}")
    return found


def medians(found: Sequence[Mapping[str, Any]], figure: str) -> dict[str, float]:
    """Peer to the median of a figure over its runs that count."""
    by_peer: dict[str, list[float]] = {}
    for each in found:
        if each["valid"]:
            by_peer.setdefault(each["peer"], []).append(each[figure])
    return {peer: statistics.median(values) for peer, values in by_peer.items()}


def ratios_of(found: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How many times as fast, of median rates."""
    rates = medians(found, "rate")
    return {
        f"{one}/{other}": round(rates[one] / rates[other], 3)
        for one, other in PAIRS
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
