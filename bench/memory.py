"""How much memory an instances worker takes that owns many partitions of many instances.

    python -m bench.memory --partitions 12 --partitions 64 --instances 100000

Resident size of one worker (MiB, from /proc) without any state, once it has restored all, and once
an event has touched each instance, whose commands are verified. `--instances` is per partition, and
smaller where `--most` in all would be exceeded. The last line is JSON; the exit code is 1 when a
run is void, or 12 partitions of 100 000 exceed their gate.
"""

import argparse
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from bench.filled import faults_after, fill
from bench.gates import Gate, conclude, missed
from bench.rig import Rig, rigged
from bench.solo import Runner, Solo
from bench.stage import say

GATED = (12, 100_000)
"""Partitions and instances of each, from which on up the figure has its gate."""

GATES = (Gate("touched_mib", most=300.0), Gate("restored_mib", most=300.0))

_LIMIT_SECONDS = 900.0
_SHOWN_FAULTS = 5


def sizes(partitions: Sequence[int], instances: int, most: int) -> list[tuple[int, int]]:
    """Partitions and instances of each, for each run."""
    return [(count, min(instances, max(most // count, 1))) for count in partitions]


def measure(rig: Rig, partitions: int, instances: int, state_bytes: int) -> dict[str, Any]:
    """One worker with so many partitions, of so many instances each."""
    name, keys = f"memory{partitions}", partitions * instances
    with closing(Solo(rig, f"{name}none", keyed=True, partitions=partitions)) as solo:
        figures = {"partitions": partitions, "instances": instances}
        figures |= _resident("idle", _ready(solo))
    with closing(
        Solo(rig, name, keyed=True, partitions=partitions, state_bytes=state_bytes)
    ) as solo:
        fill(rig.log, solo.app, keys, state_bytes)
        runner = _ready(solo)
        figures |= _resident("restored", runner)
        rig.write(solo.source, range(keys))
        solo.await_commands(keys, [runner], _LIMIT_SECONDS)
        figures |= _resident("touched", runner)
        runner.stop()
        figures["peak_mib"] = round(runner.child.peak)
    faults = list(faults_after(range(keys), rig.shipped(solo.commands)))[:_SHOWN_FAULTS]
    rig.drop(name)
    return {**figures, "faults": faults}


def _ready(solo: Solo) -> Runner:
    runner = solo.start()
    runner.await_ready(solo.partitions, _LIMIT_SECONDS)
    return runner


def _resident(when: str, runner: Runner) -> dict[str, int]:
    child = runner.child
    found = {f"{when}_mib": child.resident(), f"{when}_anonymous_mib": child.anonymous()}
    say(f"  {when}: {round(child.resident())} MiB")
    return {name: round(value) for name, value in found.items()}


def beyond(runs: Sequence[dict[str, Any]]) -> list[str]:
    """Gates that these runs miss; a run without gates passes."""
    return [
        f"{each['partitions']} partitions of {each['instances']}: {what}"
        for each in runs
        if (each["partitions"], each["instances"]) == GATED
        for what in missed(each, GATES)
    ]


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--partitions", type=int, action="append", help="repeatable")
    parser.add_argument("--instances", type=int, default=100_000, help="of each partition")
    parser.add_argument("--most", type=int, default=1_200_000, help="instances in all")
    parser.add_argument("--state-bytes", type=int, default=200, help="of each state")
    given = parser.parse_args()
    runs = []
    with rigged(pinned=True) as rig:
        for count, each in sizes(given.partitions or [12, 64], given.instances, given.most):
            say(f"{count} partitions of {each} instances")
            runs.append(measure(rig, count, each, given.state_bytes))
            say(f"{runs[-1]}")
    faults = [f"{each['partitions']}: {what}" for each in runs for what in each["faults"]]
    conclude({"state_bytes": given.state_bytes, "runs": runs}, faults, beyond(runs))


if __name__ == "__main__":
    main()
