"""How long a SIGKILL of an instances worker stops its partitions, measured over many kills.

Three ways: another worker takes over, the same one is started again, and it dies within a
transaction that nobody but its takeover ends before the transaction's timeout.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pmstream.chaos.fleet import NAMES, ROUTERS, Fleet
from pmstream.chaos.monkey import SESSION_SECONDS
from pmstream.chaos.play import conclude, kept
from pmstream.chaos.stage import Plan, Say, Stage, await_members, staged, turn
from pmstream.chaos.watch import Fault
from pmstream.config import Settings
from pmstream.errors import PmstreamError
from pmstream.runtime.child import Spec
from pmstream.runtime.log import Log

TRANSACTION_SECONDS = 60.0
"""The default: a wait for it would show."""

TAKEOVER_SECONDS = 1.0
"""What the end of a dead owner's transaction may add."""

LIMITS = {
    "takeover": SESSION_SECONDS + 1,
    "restart": SESSION_SECONDS + 1,
    "mid_transaction": SESSION_SECONDS + 1 + TAKEOVER_SECONDS,
}
"""What each series may take, in seconds: none waits for the transaction's timeout."""

_AWAY = SESSION_SECONDS + 6
_PATIENCE_SECONDS = 90.0
_SETTLED_SECONDS = 2.0
_FRESH_SECONDS = 1.0

Strike = Callable[[Fleet, Spec], None]

SERIES: dict[str, Strike] = {
    "takeover": lambda fleet, victim: fleet.kill(victim, _AWAY),
    "restart": lambda fleet, victim: fleet.kill(victim),
    "mid_transaction": lambda fleet, victim: fleet.kill_in_commit(victim, _AWAY),
}


def measure(
    plan: Plan, kills: int, connect: Callable[[Settings], Log], say: Say, *, keep: bool
) -> dict[str, Any]:
    """Measures all three series; answers the summary, with `wrong` when something is.

    Args:
        plan: seed, workers, brokers and rate.
        kills: of each series.
        connect: a log from settings.
        say: prints a line of progress.
        keep: keep the run's folder although all is well.

    Raises:
        PmstreamError: it could not be run, or does not recover.
    """
    directory = Path(tempfile.mkdtemp(prefix="pmstream-recovery-"))
    with kept(directory, plan, say, keep=keep) as summary, ExitStack() as stack:
        stage = stack.enter_context(
            staged(plan, connect, say, directory, TRANSACTION_SECONDS, step="commit")
        )
        await_members(stage, plan.workers)
        stage.loader.start()
        for name, strike in SERIES.items():
            seconds = [_kill(stage, plan, name, strike, number) for number in range(kills)]
            summary[name] = {
                "kills": kills,
                "p50_s": round(statistics.median(seconds), 2),
                "max_s": round(max(seconds), 2),
                "limit_s": LIMITS[name],
            }
        summary["session_timeout_s"] = SESSION_SECONDS
        summary["transaction_timeout_s"] = TRANSACTION_SECONDS
        verdict = conclude(stage)
        wrong = list(verdict.faults)
        wrong += [
            f"{name}: {summary[name]['max_s']} s is more than {limit} s"
            for name, limit in LIMITS.items()
            if summary[name]["max_s"] > limit
        ]
        if wrong:
            summary["wrong"] = wrong
    return summary


def _kill(stage: Stage, plan: Plan, name: str, strike: Strike, number: int) -> float:
    """One kill; answers the seconds until new commands came from all partitions."""
    settle(stage, plan)
    victim = stage.fleet.specs[ROUTERS + number % plan.workers]
    strike(stage.fleet, victim)
    fault = Fault(name, victim.name, time.monotonic())
    stage.watch.add(fault)
    while fault.recovery is None:
        turn(stage)
        if time.monotonic() - fault.at > _PATIENCE_SECONDS:
            raise PmstreamError(
                f"{victim.name} was killed {_PATIENCE_SECONDS:.0f} s ago ({name}), and "
                f"{', '.join(sorted(fault.waiting))} make no commands"
            )
    return fault.recovery


def settle(stage: Stage, plan: Plan, look: Callable[[], None] | None = None) -> None:
    """Returns when every worker has been at work for a while.

    Args:
        stage: where.
        plan: how many workers there must be.
        look: what has to go on meanwhile; `turn` by itself.

    Raises:
        PmstreamError: it takes too long, or is hopeless.
    """
    go_on = look or (lambda: turn(stage))
    since: float | None = None
    until = time.monotonic() + _PATIENCE_SECONDS
    group = NAMES.group("instances")
    while since is None or time.monotonic() - since < _SETTLED_SECONDS:
        go_on()
        fresh = max(stage.watch.stalls.values(), default=0.0) < _FRESH_SECONDS
        whole = len(stage.fleet.running()) == len(stage.fleet.specs)
        if fresh and whole and len(stage.log.members(group)) == plan.workers:
            since = since or time.monotonic()
        else:
            since = None
        if time.monotonic() > until:
            raise PmstreamError(f"the workers do not settle in {_PATIENCE_SECONDS:.0f} s")
