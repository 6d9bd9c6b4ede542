"""`pmstream topics repartition`: another number of partitions, while nothing runs."""

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from pmstream.app import App
from pmstream.cli import exits
from pmstream.cli.loading import AppName, clock, connect, load_app
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.cli.target import ManagerName
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.operate import generations
from pmstream.operate import repartition as operate
from pmstream.operate.repartition import Plan
from pmstream.runtime.log import Log

MOST_SHOWN = 100
"""Things under way that are shown in a table."""

READS = 3
"""How long it takes, in looks at the old changelog: it is copied, the copy is looked at."""

_PROGRESS_SECONDS = 2.0


def repartition(
    app: AppName,
    process_manager: ManagerName,
    partitions: Annotated[
        int, typer.Option("--partitions", metavar="N", help="How many there shall be.")
    ] = 0,
    abandon: Annotated[
        bool,
        typer.Option("--abandon", help="Give an unfinished one up; the old generation goes on."),
    ] = False,
    roll_back: Annotated[
        bool,
        typer.Option(
            "--roll-back", help="Go back to the old generation, while no worker has run since."
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Gives a process manager another number of partitions; its workers must be stopped.

    Copies its instances into a new generation of its topics, where each belongs by the new count,
    compares both, and lets the new one live. The old one stays, closed.

    Refused, with a list, while anything is under way: let the instances workers take it in first.
    After a kill the same command goes on. Nothing happens without --yes.

    Example: pmstream topics repartition bank.payments:app transfer-money --partitions 24
    """
    if bool(partitions) + abandon + roll_back != 1:
        raise ConfigurationError("say one of --partitions N, --abandon and --roll-back")
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    the_app.manager(process_manager)
    if abandon:
        _abandon(log, the_app, process_manager, yes=yes)
    elif roll_back:
        _roll_back(log, the_app, process_manager, yes=yes)
    else:
        _repartition(log, the_app, process_manager, partitions, settings, output, yes=yes)


def _repartition(
    log: Log,
    app: App,
    process_manager: str,
    partitions: int,
    settings: Settings,
    output: Output,
    *,
    yes: bool,
) -> None:
    began = time.monotonic()
    plan = operate.plan(log, app, process_manager, partitions, _progress())
    seconds = READS * (time.monotonic() - began)
    _tell(plan, seconds, output)
    if plan.left:
        raise typer.Exit(exits.FOUND)
    if not yes:
        exits.tell("a dry run: nothing was done; --yes does it")
        return
    done = operate.carry_out(log, app, plan, settings, clock(), _progress())
    exits.tell(
        f"generation {done.new.generation} of {process_manager} is live, with {partitions} "
        f"partitions: {done.contents}, the same as in generation {plan.old.generation}"
    )
    exits.tell(
        f"start its workers; {plan.old.inbox}, {plan.old.changelog} and {plan.old.orders} stay for "
        "a way back (--roll-back, until a worker has run), and are yours to delete"
    )
    if settings.inbox_partitions != partitions:
        exits.tell(
            f"the setting inbox_partitions is {settings.inbox_partitions}: set it to {partitions} "
            "where it is written down, unless another process manager is to begin with it"
        )


def _tell(plan: Plan, seconds: float, output: Output) -> None:
    """What there is, what would be, what forbids it."""
    if output is Output.JSON:
        print_json(_as_json(plan, seconds))
        return
    looked, contents = plan.looked, plan.looked.contents
    how = ", ".join(f"{count} {name}" for name, count in sorted(looked.conditions.items()))
    print(
        f"{plan.old.process_manager}: generation {plan.old.generation} has {plan.before} "
        f"partitions; generation {plan.generation} would have {plan.partitions}"
        + (" (begun before, goes on)" if plan.goes_on else "")
    )
    print(
        f"{contents.instances} instances{f' ({how})' if how else ''}, {contents.entries} inputs "
        f"waiting behind them, {contents.size} bytes: about {seconds:.0f} s"
    )
    if any(each.paused for each in looked.commits.values()):
        print("it is paused, and stays so: `pmstream resume` lets it go on")
    if not plan.left:
        return
    exits.tell("it is not drained; this is under way:")
    show([_row(each) for each in plan.left[:MOST_SHOWN]], Output.TABLE)
    if len(plan.left) > MOST_SHOWN:
        exits.tell(f"the first {MOST_SHOWN} of {len(plan.left)}: -o json has more")


def _as_json(plan: Plan, seconds: float) -> dict[str, Any]:
    contents = plan.looked.contents
    return {
        "process_manager": plan.old.process_manager,
        "generation": plan.old.generation,
        "partitions": plan.before,
        "new_generation": plan.generation,
        "new_partitions": plan.partitions,
        "goes_on": plan.goes_on,
        "instances": contents.instances,
        "conditions": dict(plan.looked.conditions),
        "waiting": contents.entries,
        "bytes": contents.size,
        "checksum": f"{contents.checksum:032x}",
        "paused": any(each.paused for each in plan.looked.commits.values()),
        "seconds": round(seconds, 1),
        "under_way": [_row(each) for each in plan.left],
    }


def _row(left: Any) -> dict[str, Any]:
    return {"where": left.where, "under way": left.what, "what to do": left.remedy}


def _abandon(log: Log, app: App, process_manager: str, *, yes: bool) -> None:
    making = generations.under_way(log, app, process_manager)
    if making is None or making.change.what != operate.WHAT:
        raise ConfigurationError(f"no repartition of {process_manager} is unfinished")
    new = making.new
    exits.tell(
        f"generation {making.old.generation} of {process_manager} goes on where it stood; "
        f"{new.inbox}, {new.changelog} and {new.orders} were begun, and are yours to delete"
    )
    if not yes:
        exits.tell("a dry run: nothing was done; --yes does it")
        return
    generations.abandon(log, making)


def _roll_back(log: Log, app: App, process_manager: str, *, yes: bool) -> None:
    before = operate.check_unused(log, app, process_manager)
    exits.tell(f"generation {before} of {process_manager} goes on where it stood")
    if not yes:
        exits.tell("a dry run: nothing was done; --yes does it")
        return
    making = generations.begin_roll_back(log, app, process_manager, clock())
    generations.roll_back(log, making, clock())


def _progress() -> Callable[[str, int, int], None]:
    """Tells every few seconds how far it is."""
    began = told = time.monotonic()
    doing = ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal began, told, doing
        now = time.monotonic()
        if what != doing:
            began, told, doing = now, now, what
        if now - told >= _PROGRESS_SECONDS and done:
            told = now
            left = (now - began) / done * max(total - done, 0)
            exits.tell(f"{what} {done} of {total} offsets, about {left:.0f} s to go")

    return tell
