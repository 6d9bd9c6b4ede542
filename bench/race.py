"""One run: a peer drains a loaded topic while it is watched; what it wrote is checked."""

import gc
import json
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict

from bench import job
from bench.apps import make
from bench.children import Child, cpu_seconds
from bench.contestants import PEERS
from bench.peers import Peer, Process, end_of
from bench.rig import Rig, Written
from bench.sink import sink
from bench.stage import PARTITIONS, ensure, say

WARM_UPS = 2
"""A broker that has just started takes three times the CPU; after so many runs no more."""

STEADY = 0.6
"""The rate counts from here on: what came before is start and warming up."""

_WARM_UP_EVENTS = 120_000
_LIMIT_SECONDS = 300.0
_QUIET_SECONDS = 1.5
_SAMPLE_SECONDS = 0.2
_SHOWN_FAULTS = 5


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be drained, and how.

    Attributes:
        events, keys, skew: the load.
        interval_ms, batch: when a peer commits.
        workers: instances workers of pmstream.
        partitions: of each topic.
        pinned: the client on one core, the broker on the other.
        environment: more variables of the peer's processes.
    """

    events: int = 500_000
    keys: int = 10_000
    skew: float = 0.0
    interval_ms: int = 100
    batch: int = 2_000
    workers: int = 1
    partitions: int = PARTITIONS
    pinned: bool = True
    environment: Mapping[str, str] = {}


class Sample(Struct, frozen=True):
    """CPU seconds used so far."""

    time: float
    client: float
    broker: float


def run(rig: Rig, peer: Peer, plan: Plan) -> dict[str, Any]:
    """Runs it once; what is answered is void unless `valid`."""
    with sink() as collector:
        return _run(rig, peer, plan, collector.endpoint)


def warm_up(rig: Rig, *, pinned: bool) -> None:
    """Runs that do not count, until the broker has compiled what it does most."""
    for number in range(WARM_UPS):
        run(rig, PEERS["pmstream"], Plan(events=_WARM_UP_EVENTS, pinned=pinned))
        say(f"warmed the broker up: {number + 1} of {WARM_UPS}")


def _run(rig: Rig, peer: Peer, plan: Plan, endpoint: str) -> dict[str, Any]:
    events = plan.events * peer.events
    source = rig.load(
        events,
        plan.keys,
        skew=plan.skew,
        json=peer.json,
        sampled=peer.sampled,
        partitions=plan.partitions,
    )
    letters = "".join(filter(str.isalnum, peer.name))
    group = f"{letters[:8]}{time.time_ns() // 1_000_000}"
    told = _prepare(rig, peer, plan, source, group) | {"endpoint": endpoint}
    cores = rig.arrange(pinned=plan.pinned)
    children: list[Child] = []
    about = {"peer": peer.name, "events": events, **asdict(plan)} | {"events": events}
    try:
        for number, process in enumerate(_processes(peer, plan)):
            stats, log = (rig.directory / f"{group}-{number}.{end}" for end in ("json", "log"))
            command = process.command({**told, "number": number, "stats": str(stats)})
            children.append(Child(command, log, cores, dict(plan.environment)))
        samples = _drain(rig, children, told["commands"], events)
    except RuntimeError as error:
        return {**about, "valid": False, "faults": [str(error)]}
    finally:
        for child in reversed(children):
            child.stop()
    written = rig.commands(told["commands"])
    faults, records = _faults(rig, peer, group, written, (events, plan.keys, plan.skew))
    told_by = [_stats(rig.directory / f"{group}-{n}.json") for n in range(len(children))]
    faults += _untraced(peer, told_by)
    rig.drop(group)
    shutil.rmtree(told["state_dir"], ignore_errors=True)
    measured = _measured(written, samples, children)
    del written
    gc.collect()
    return {
        **about,
        "valid": not faults,
        "faults": faults,
        **measured,
        "commit": [each.get("commit") for each in told_by],
        "spans": [each["spans"] for each in told_by if "spans" in each],
        "changelog_records_per_event": round(records / events, 3),
    }


def _processes(peer: Peer, plan: Plan) -> list[Process]:
    copies = {"instances": plan.workers}
    return [each for each in peer.processes for _ in range(copies.get(each.role, 1))]


def _prepare(rig: Rig, peer: Peer, plan: Plan, source: str, group: str) -> dict[str, Any]:
    """Makes the topics; answers what the peer is told."""
    commands = f"{group}-commands"
    rig.make(commands, stamped=True, count=plan.partitions)
    if peer.changelog:
        rig.make(f"{group}-changelog", compact=True, count=plan.partitions)
    if peer.keyed is not None:
        ensure(make(group, source, commands, keyed=peer.keyed), rig.log, plan.partitions)
    return {
        "servers": rig.servers,
        "source": source,
        "commands": commands,
        "group": group,
        "state_dir": str(rig.directory / f"{group}-state"),
        "interval_ms": plan.interval_ms,
        "batch": plan.batch,
        "keyed": peer.keyed,
        **peer.told,
    }


def _drain(rig: Rig, children: list[Child], commands: str, events: int) -> list[Sample]:
    """Returns when all commands can be read and nothing moves any more."""
    samples: list[Sample] = []
    until, end, moved = time.monotonic() + _LIMIT_SECONDS, 0, time.monotonic()
    while time.monotonic() < until:
        for child in children:
            child.check()
        client = sum(cpu_seconds(child.pid) for child in children)
        samples.append(Sample(time.time(), client, rig.broker_cpu))
        now = rig.end(commands)
        if now != end:
            end, moved = now, time.monotonic()
        elif end >= events and time.monotonic() - moved > _QUIET_SECONDS:
            return samples
        time.sleep(_SAMPLE_SECONDS)
    told = f"{end} of {events} records"
    raise RuntimeError(f"not drained in {_LIMIT_SECONDS:.0f} s: {told}; {children[0].tail()}")


def _faults(
    rig: Rig, peer: Peer, group: str, written: Written, load: tuple[int, int, float]
) -> tuple[list[str], int]:
    """What is wrong with the outcome, and how many records the changelog has."""
    found = list(job.faults_of(load[0], written.commands))
    last, records = rig.changelog(group)
    end, expected = job.checksum(end_of(peer, last)), job.checksum(job.expected_end(*load))
    if end != expected:
        found.append(f"the states at the end have checksum {end}, not {expected}")
    return found[:_SHOWN_FAULTS], records


def _untraced(peer: Peer, told_by: list[dict[str, Any]]) -> list[str]:
    """Spans that were to be sent and did not arrive would flatter."""
    spans = [each["spans"]["spans_total"] for each in told_by if "spans" in each]
    if not peer.sampled or not peer.told.get("tracing"):
        return []
    if not spans or any(not each["sent"] or each["failed"] for each in spans):
        return [f"spans did not arrive: {spans}"]
    return []


def _measured(written: Written, samples: list[Sample], children: list[Child]) -> dict[str, Any]:
    first, last = written.at(STEADY), written.at(1)
    inside = [each for each in samples if first <= each.time <= last]
    cpu = broker = 0.0
    if len(inside) > 1:
        spent = inside[-1].time - inside[0].time
        events = spent * written.rate(STEADY)
        cpu = (inside[-1].client - inside[0].client) / events * 1e6
        broker = (inside[-1].broker - inside[0].broker) / events * 1e6
    return {
        "rate": round(written.rate(STEADY)),
        "rate_whole": round(written.rate(0)),
        "cpu_s_per_million": round(cpu, 1),
        "broker_cpu_s_per_million": round(broker, 1),
        "peak_mib": round(sum(each.peak for each in children)),
        "first_command_s": round(written.times[0] - children[0].began, 2),
    }


def _stats(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found
