"""A roll-out under load: workers are replaced one by one under their names, as pods are.

How long each partition stands is measured by its canaries; the topics are verified as ever.
"""

import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pmstream.chaos.fleet import BANK
from pmstream.chaos.load import canaries
from pmstream.chaos.monkey import SESSION_SECONDS
from pmstream.chaos.play import conclude, kept
from pmstream.chaos.recovery import settle
from pmstream.chaos.stage import PARTITIONS, Plan, Say, Stage, await_members, staged, turn
from pmstream.config import Settings
from pmstream.runtime.child import Spec
from pmstream.runtime.log import Log

START_SECONDS = 5.0
"""What a worker may take to end politely, to start and to join, beside the time it is away."""


def measure(
    plan: Plan, away: float, connect: Callable[[Settings], Log], say: Say, *, keep: bool
) -> dict[str, Any]:
    """Replaces every worker once; answers the summary, with `wrong` when something is.

    Args:
        plan: seed, workers, brokers and rate.
        away: seconds from a worker's end until the next of its name is started: a pod's start.
        connect: a log from settings.
        say: prints a line of progress.
        keep: keep the run's folder although all is well.

    Raises:
        PmstreamError: it could not be run, or does not recover.
    """
    directory = Path(tempfile.mkdtemp(prefix="pmstream-rolling-"))
    with kept(directory, plan, say, keep=keep) as summary, ExitStack() as stack:
        stage = stack.enter_context(staged(plan, connect, say, directory))
        await_members(stage, plan.workers)
        stage.loader.start()
        stood: dict[str, dict[str, float]] = {}
        # As a StatefulSet does: the highest number first, each ready before the next goes.
        settle(stage, plan)
        for spec in reversed([each for each in stage.fleet.specs if each.role != BANK]):
            stood[spec.name] = _replace(stage, plan, spec, away)
            say(f"        {spec.name}: {_shown(stood[spec.name])}")
        limit = away + SESSION_SECONDS + START_SECONDS
        verdict = conclude(stage)
        summary.update(_summary(stood, away, limit))
        summary |= {"events": verdict.events, "commands": verdict.commands}
        wrong = list(verdict.faults)
        wrong += [
            f"partition {partition} stood for {seconds} s, more than {limit} s"
            for partition, seconds in summary["stall_s"].items()
            if seconds > limit
        ]
        if wrong:
            summary["wrong"] = wrong
    return summary


def _replace(stage: Stage, plan: Plan, spec: Spec, away: float) -> dict[str, float]:
    """Replaces one, and settles; answers for each canary how old its oldest open event became."""
    oldest = dict.fromkeys(canaries(PARTITIONS), 0.0)

    def look() -> None:
        turn(stage)
        for name, seconds in stage.watch.stalls.items():
            oldest[name] = max(oldest[name], seconds)

    stage.say(f"        replaces {spec.name}, away for {away:.0f} s")
    stage.fleet.retire(spec, away, look)
    settle(stage, plan, look)
    return oldest


def _summary(stood: dict[str, dict[str, float]], away: float, limit: float) -> dict[str, Any]:
    worst = [round(max(each[name] for each in stood.values()), 2) for name in canaries(PARTITIONS)]
    return {
        "replaced": len(stood),
        "away_s": away,
        "stall_s": dict(enumerate(worst)),
        "stall_p50_s": round(statistics.median(worst), 2),
        "stall_max_s": max(worst),
        "limit_s": limit,
    }


def _shown(oldest: dict[str, float]) -> str:
    stalls = (f"{number} {seconds:.1f} s" for number, seconds in enumerate(oldest.values()))
    return f"oldest open event by partition: {', '.join(stalls)}"
