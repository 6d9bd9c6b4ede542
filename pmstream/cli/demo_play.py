"""The demo from its Kafka to its last line: the act around `demo_run` and `demo_check`."""

import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NoReturn

from pmstream.cli import demo_load, demo_run, demo_topics
from pmstream.cli.demo_check import Verdict, check
from pmstream.cli.demo_show import make_show
from pmstream.cli.exits import DONE, FOUND
from pmstream.cli.loading import connect
from pmstream.cli.output import Output
from pmstream.config import Settings
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log_errors import Unavailable

_BANK = (sys.executable, "-m", "pmstream.cli.demo_bank")


def play(plan: demo_run.Plan, bootstrap_servers: str | None, output: Output, *, keep: bool) -> int:
    """Plays the demo, prints its summary; answers the exit code.

    Args:
        plan: what to do.
        bootstrap_servers: an existing Kafka; None starts one.
        output: of the summary.
        keep: keep the run directory although all is well.
    """
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _interrupt)
    directory = Path(tempfile.mkdtemp(prefix="pmstream-demo-"))
    good = False
    try:
        with closing(make_show()) as show, _kafka(directory, bootstrap_servers, show) as kafka:
            servers, version = kafka
            summary = {"kafka": version, **_run(plan, directory, servers, show)}
        good = not summary.get("faults")
        _print(summary, output)
        return DONE if good else FOUND
    finally:
        if keep or (not good and any(directory.iterdir())):
            print(f"logs, state and Kafka's data are in {directory}", file=sys.stderr)
        else:
            shutil.rmtree(directory, ignore_errors=True)


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _kafka(
    directory: Path, bootstrap_servers: str | None, show: demo_run.Show
) -> Iterator[tuple[str, str]]:
    """Bootstrap servers and version: of an existing Kafka, or of one that lives as long."""
    if bootstrap_servers is not None:
        yield bootstrap_servers, "external"
        return
    from pmstream import devkafka

    show.say("starting Apache Kafka")
    with devkafka.Cluster(directory=directory / "kafka", progress=show.say) as cluster:
        show.say(f"Apache Kafka {devkafka.VERSION} at {cluster.bootstrap_servers}")
        yield cluster.bootstrap_servers, devkafka.VERSION


def _run(plan: demo_run.Plan, directory: Path, servers: str, show: demo_run.Show) -> dict[str, Any]:
    """The demo on a Kafka that runs; answers what is to be told."""
    settings = Settings.load(bootstrap_servers=servers, inbox_partitions=demo_topics.PARTITIONS)
    log, clock, codec = connect(settings), SystemClock(), Codec(plan.cast.app)
    demo_topics.make_topics(log, clock, settings, plan.cast)
    show.say(f"{plan.transfers} transfers, seed {plan.seed}; logs in {directory / 'logs'}")
    todo = demo_load.transfers(plan.transfers, plan.seed, refused=plan.cast.confirms)
    supervisor = demo_run.supervise(plan, directory, _BANK, servers, show.say)
    course = demo_run.Course(plan, log, clock, supervisor, show)
    stuck = ""
    try:
        course.await_members()
        progress = course.run(demo_load.Loader(log, codec.encode_event, clock, todo, plan.rate))
    except demo_run.Stuck as error:
        stuck = str(error)
    finally:
        supervisor.end()
    show.say("checking what is in the topics")
    try:
        verdict = check(log, clock, codec.decode, plan.cast, todo)
    except Unavailable:
        if not stuck:
            raise
        verdict = None  # what is stuck hides it
    if stuck:
        progress = course.progress()
    return _told(plan, progress, verdict, stuck)


def _told(
    plan: demo_run.Plan, progress: demo_run.Progress, verdict: Verdict | None, stuck: str
) -> dict[str, Any]:
    """The summary, in the order of its last line."""
    found = verdict or Verdict(
        transfers=plan.transfers,
        completed=progress.completed,
        open=plan.transfers - progress.completed,
    )
    if stuck:
        found.faults.insert(0, stuck)
    summary: dict[str, Any] = {
        "transfers": found.transfers,
        "completed": found.completed,
        "commands": found.commands,
        "lost": found.lost,
        "duplicated": found.duplicated,
        "open": found.open,
        "kills": progress.kills,
        "seconds": round(progress.seconds, 1),
    }
    if plan.cast.confirms:
        summary["refused"] = found.refused
    if found.money:
        summary["money"] = found.money
    if not found.is_good:
        summary["faults"] = found.faults or ["not every transfer is completed"]
    return summary


def _print(summary: dict[str, Any], output: Output) -> None:
    if output is Output.JSON:
        print(json.dumps(summary), flush=True)
        return
    rate = summary["completed"] / summary["seconds"] if summary["seconds"] else 0
    print(
        f"{summary['completed']} of {summary['transfers']} transfers completed in "
        f"{summary['seconds']} s ({rate:,.0f}/s) on Kafka {summary['kafka']}, "
        f"{summary['kills']} {'worker' if summary['kills'] == 1 else 'workers'} killed on the way."
    )
    for fault in summary.get("faults", ()):
        print(f"WRONG: {fault}")
    if not summary.get("faults"):
        each = "2 for each transfer"
        if "refused" in summary:
            each = f"2 or 4 for each transfer, {summary['refused']} of them refused and undone"
        print(
            f"Read back from the topics: {summary['commands']} commands, {each}; "
            "0 lost, 0 duplicated, 0 open; every account has the balance it must have."
        )
