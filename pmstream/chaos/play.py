"""A chaos run from its first fault to its verdict.

Rule: what went wrong keeps its seed, its logs, its state and its topics.
"""

import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from pmstream.chaos.fleet import ROUTERS
from pmstream.chaos.load import Loader
from pmstream.chaos.monkey import Monkey
from pmstream.chaos.outages import SmallDisk
from pmstream.chaos.reading import TOPICS, Quiet, read_topic
from pmstream.chaos.stage import Plan, Say, Stage, await_members, staged, turn
from pmstream.chaos.stores import check_stores
from pmstream.chaos.verify import Verdict, verify
from pmstream.chaos.watch import Fault, Watch
from pmstream.config import Settings
from pmstream.runtime.log import Log

QUIET_SECONDS = 120.0
"""How long all may take to be handled once everything is healed."""

DUMP_SECONDS = 15.0
"""The workers write their stacks when a canary waits for so long."""

STUCK_SECONDS = 180.0
"""No fault lasts so long: a canary that waits longer ends the run."""

VERDICT = (
    *("events", "faults", "lost", "duplicated", "misordered", "state_mismatches"),
    *("worst_stall_s", "recovery_p50_s", "recovery_p99_s"),
)
"""What the last line holds, in this order; the exit code judges the details, too."""

_STATUS_SECONDS = 10.0


def play(plan: Plan, connect: Callable[[Settings], Log], say: Say, *, keep: bool) -> dict[str, Any]:
    """Runs chaos; answers the summary, with `wrong` when something is.

    Args:
        plan: what to do.
        connect: a log from settings.
        say: prints a line of progress.
        keep: keep the run's folder although all is well.

    Raises:
        PmstreamError: it could not be run.
    """
    directory = Path(tempfile.mkdtemp(prefix="pmstream-chaos-"))
    with kept(directory, plan, say, keep=keep) as summary, ExitStack() as stack:
        stage = stack.enter_context(staged(plan, connect, say, directory))
        disk = SmallDisk(stage.fleet.folder(stage.fleet.specs[ROUTERS]))
        stack.callback(disk.unmount)
        if disk.why_not:
            say(f"no disk-full faults: {disk.why_not}")
        await_members(stage, plan.workers)
        stage.loader.start()
        monkey = Monkey(plan.seed, stage.fleet, stage.brokers, stage.proxy, disk, plan.only)
        began = time.monotonic()
        _rage(stage, monkey, began, began + plan.minutes * 60)
        seconds = time.monotonic() - began
        say("healing; waiting for quiet")
        monkey.heal()
        verdict = conclude(stage)
        summary.update(summarise(plan, verdict, stage.watch, seconds))
        if summary.get("wrong"):
            _dump(stage.log, directory)
            disk.unmount(directory / "small-disk")
    return summary


@contextmanager
def kept(directory: Path, plan: Plan, say: Say, *, keep: bool) -> Iterator[dict[str, Any]]:
    """A summary to fill; the folder is kept if asked to, or when it is not filled, or wrong."""
    summary: dict[str, Any] = {}
    try:
        yield summary
    finally:
        if keep or summary.get("wrong") or not summary:
            fields = {name: getattr(plan, name) for name in plan.__struct_fields__}
            text = json.dumps({"plan": fields, "summary": summary}, indent=2)
            (directory / "run.json").write_text(text + "\n")
            say(f"seed {plan.seed}: logs, state and topics are in {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def conclude(stage: Stage) -> Verdict:
    """Ends the load, waits for quiet, ends the workers and verifies. Raises PmstreamError."""
    verdict = Verdict()
    _calm(stage, verdict)
    stage.fleet.end()
    stage.say("verifying from the topics")
    changelog = verify(stage.log, verdict)
    stores = check_stores(stage.log, verdict, stage.fleet.stores(), changelog)
    stage.say(f"{verdict.commands} commands, {stores} stores compared")
    _check_loader(stage.loader, verdict)
    return verdict


def _rage(stage: Stage, monkey: Monkey, began: float, until: float) -> None:
    """Lets the monkey strike until the time is over."""
    status_at = began
    while (now := time.monotonic()) < until:
        turn(stage)
        fault = monkey.turn()
        if fault is not None:
            stage.watch.add(fault)
            lasts = f" for {fault.seconds:.1f} s" if fault.seconds else ""
            stage.say(f"{fault.at - began:6.1f} s {fault.kind} {fault.what}{lasts}")
        if now >= status_at:
            status_at = now + _STATUS_SECONDS
            stall = max(stage.watch.stalls.values(), default=0.0)
            stage.say(
                f"{now - began:6.1f} s {stage.loader.sent} events, {len(stage.watch.faults)} "
                f"faults, oldest canary {stall:.1f} s"
            )
            if stall > DUMP_SECONDS:
                stage.fleet.dump()
            if stall > STUCK_SECONDS:
                stage.say(f"stuck: {stage.watch.stalls}")
                return


def _calm(stage: Stage, verdict: Verdict) -> None:
    """Ends the load and waits until nothing is under way."""
    stage.loader.stop()
    until = time.monotonic() + QUIET_SECONDS
    while not stage.loader.is_through(0.1):
        turn(stage)  # who is killed meanwhile is restarted
        if time.monotonic() > until:
            verdict.faults.append("the loader cannot deliver its events")
            break
    with closing(Quiet(stage.log)) as quiet:
        left = quiet.wait(QUIET_SECONDS, lambda: turn(stage))
    verdict.open = verdict.blame(f"things still open after {QUIET_SECONDS:.0f} s", left)


def _check_loader(loader: Loader, verdict: Verdict) -> None:
    if not loader.sent == loader.acknowledged == verdict.events:
        verdict.faults.append(
            f"the loader handed over {loader.sent} events, {loader.acknowledged} were "
            f"acknowledged, {verdict.events} are in the source topic"
        )


def summarise(plan: Plan, verdict: Verdict, watch: Watch, seconds: float) -> dict[str, Any]:
    """What is told of a run: the last line, which is VERDICT, and the details before it."""
    recoveries = sorted(each.recovery for each in watch.faults if each.recovery is not None)
    summary: dict[str, Any] = {
        "events": verdict.events,
        "faults": dict(sorted(Counter(each.kind for each in watch.faults).items())),
        "lost": verdict.lost,
        "duplicated": verdict.duplicated,
        "misordered": verdict.misordered,
        "state_mismatches": verdict.state_mismatches,
        "worst_stall_s": round(max(watch.latencies, default=0.0), 1),
        "recovery_p50_s": quantile(recoveries, 0.5),
        "recovery_p99_s": quantile(recoveries, 0.99),
        "open": verdict.open,
        "seconds": round(seconds, 1),
        "seed": plan.seed,
    }
    not_recovered = [each for each in watch.faults if each.recovery is None]
    wrong = list(verdict.faults)
    if verdict.open and not_recovered:
        wrong.append(f"{len(not_recovered)} faults were not recovered from")
    if wrong:
        summary["wrong"] = wrong
    summary["recoveries"] = _by_kind(watch.faults)
    return summary


def _by_kind(faults: list[Fault]) -> dict[str, list[float]]:
    """Kind to the seconds of each recovery."""
    found: dict[str, list[float]] = {}
    for each in faults:
        if each.recovery is not None:
            found.setdefault(each.kind, []).append(round(each.recovery, 1))
    return {kind: sorted(found[kind]) for kind in sorted(found)}


def quantile(ordered: list[float], share: float) -> float | None:
    """The value that so large a share does not exceed; None of nothing."""
    if not ordered:
        return None
    return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 2)


def _dump(log: Log, directory: Path) -> None:
    """Writes all topics as lines of JSON."""
    folder = directory / "topics"
    folder.mkdir(exist_ok=True)
    for topic in TOPICS:
        with (folder / f"{topic}.ndjson").open("w") as file:
            for records in read_topic(log, topic).values():
                for each in records:
                    line = {
                        "partition": each.partition,
                        "offset": each.offset,
                        "time": each.timestamp,
                        "key": repr(each.key),
                        "headers": repr(each.headers),
                        "value": repr(each.value),
                    }
                    file.write(json.dumps(line) + "\n")
