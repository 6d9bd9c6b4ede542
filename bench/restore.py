"""How fast a worker restores a million instances, and how soon one is ready that has them already.

    python -m bench.restore --keys 1000000 --partitions 4

A changelog is written as workers write it; then one worker starts with an empty store (keys a
second from the first partition opened to the last one running), again with the store it has by
then, and another one that has no state at all (seconds from the process' start to all partitions
running). `keys_per_cpu_s`, of all the worker's threads, and `keys_per_main_thread_s` are what a
machine without neighbours reaches at least and at most. After each restore, events of a sample of
processes must meet the states that were written. The last line is JSON; the exit code is 1 when a
sample or a gate fails.
"""

import argparse
import random
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from bench.filled import faults_after, fill, record_of
from bench.gates import Gate, conclude, missed
from bench.job import process_name
from bench.rig import rigged
from bench.solo import Runner, Solo
from bench.stage import say
from pmstream.runtime.store import instance_key

GATES = (Gate("keys_per_s", least=250_000), Gate("idle_ready_s", most=3.0))
SAMPLE = 1_000

_LIMIT_SECONDS = 300.0
_SHOWN_FAULTS = 5


def start(solo: Solo, *, pinned: bool) -> tuple[Runner, dict[str, Any]]:
    """A worker whose partitions all run, and how they became ready."""
    runner = solo.start(pinned=pinned)
    ready = runner.await_ready(solo.partitions, _LIMIT_SECONDS)
    figures = {
        "ready_s": round(ready.ended - runner.child.began, 2),
        "restore_s": round(ready.seconds, 2),
        "records": ready.records,
        "cpu_s": round(runner.child.used(), 2),
        "main_thread_cpu_s": round(runner.child.used_by_main(), 2),
        "resident_mib": round(runner.child.resident()),
    }
    return runner, figures


def sampled(keys: int, sizes: Sequence[int], seed: int = 1) -> list[list[int]]:
    """Samples of so many keys each, no key in two of them; smaller ones when there are too few."""
    chance = random.Random(seed)
    left = chance.sample(range(keys), min(sum(sizes), keys))
    found = []
    for size in sizes:
        found.append(left[:size])
        left = left[size:]
    return found


def faults_in(name: str, records: int, least: int, most: int) -> list[str]:
    """A sentence when a restore read another number of records than it should have."""
    if least <= records <= most:
        return []
    return [f"{name} read {records} records of the changelog, not {least} to {most}"]


def measure(keys: int, partitions: int, state_bytes: int, *, pinned: bool) -> dict[str, Any]:
    """All three starts."""
    samples, met, starts = sampled(keys, (SAMPLE, SAMPLE)), list[int](), []
    with rigged(pinned=pinned) as rig:
        solo = Solo(rig, "restore", keyed=True, partitions=partitions, state_bytes=state_bytes)
        with closing(solo):
            fill(rig.log, solo.app, keys, state_bytes)
            # Now, because a broker's first producer waits for its topics of transactions.
            with closing(Solo(rig, "idle", keyed=True, partitions=partitions)) as without:
                _, idle = start(without, pinned=pinned)
                say(f"no state: {idle}")
            for name, sample in zip(("empty", "warm"), samples, strict=True):
                runner, figures = start(solo, pinned=pinned)
                say(f"{name} store: {figures}")
                starts.append(figures)
                rig.write(solo.source, sample, first=len(met))
                met += sample
                solo.await_commands(len(met), [runner], _LIMIT_SECONDS)
                runner.stop()
        faults = list(faults_after(met, rig.shipped(solo.commands)))[:_SHOWN_FAULTS]
    empty, warm = starts
    # Commit records are among what was read.
    faults += faults_in("the empty store", empty["records"], keys, 2 * keys + partitions)
    faults += faults_in("the warm store", warm["records"], 0, 0)
    return {
        "keys": keys,
        "partitions": partitions,
        "state_bytes": state_bytes,
        "record_bytes": len(record_of(0, state_bytes)) + len(instance_key(process_name(0))),
        "pinned": pinned,
        "keys_per_s": round(keys / max(empty["restore_s"], 0.01)),
        "keys_per_cpu_s": round(keys / max(empty["cpu_s"] - idle["cpu_s"], 0.01)),
        "keys_per_main_thread_s": round(
            keys / max(empty["main_thread_cpu_s"] - idle["main_thread_cpu_s"], 0.01)
        ),
        "warm_ready_s": warm["ready_s"],
        "idle_ready_s": idle["ready_s"],
        "sampled": len(met),
        "starts": {"idle": idle, "empty": empty, "warm": warm},
        "faults": faults,
    }


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_RAW)
    parser.add_argument("--keys", type=int, default=1_000_000, help="instances")
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--state-bytes", type=int, default=200, help="of each state")
    parser.add_argument("--no-pinned", action="store_true", help="broker and worker share cores")
    given = parser.parse_args()
    found = measure(given.keys, given.partitions, given.state_bytes, pinned=not given.no_pinned)
    conclude(found, found.pop("faults"), missed(found, GATES))


_RAW = argparse.RawDescriptionHelpFormatter

if __name__ == "__main__":
    main()
