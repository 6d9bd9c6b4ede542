"""`pmstream replay --rebuild`, its ways back, and what they say."""

import time
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer

from pmstream.app import App
from pmstream.cli import exits
from pmstream.cli.loading import clock
from pmstream.cli.output import Output, print_json, show
from pmstream.errors import ConfigurationError
from pmstream.operate import generations, rebuild
from pmstream.operate.job import Job, Plan, Rebuilt
from pmstream.runtime.generations import read_state
from pmstream.runtime.log import Log

INPUTS_PER_SECOND = 4_000
"""What a rebuild does on one modest core: for the estimate of a dry run."""

MOST_SHOWN = 20
"""So many losses are told one by one; -o json has all."""

_PROGRESS_SECONDS = 2.0

RebuildOption = Annotated[
    bool,
    typer.Option(
        "--rebuild",
        help="Make the state anew from history by today's code, in a generation of its own; "
        "sends no commands.",
    ),
]
RollbackOption = Annotated[
    bool, typer.Option("--roll-back", help="Go back to the generation before the last rebuild.")
]
AbandonOption = Annotated[
    bool, typer.Option("--abandon", help="Give up a rebuild that is not done.")
]
AcceptOption = Annotated[
    bool, typer.Option("--accept-losses", help="Go live although a rebuild found losses.")
]
AgainOption = Annotated[
    bool,
    typer.Option(
        "--send-again", help="Go back although the generation before sends commands again."
    ),
]


def run(log: Log, job: Job, *, yes: bool, accept: bool, output: Output) -> None:
    """Tells what a rebuild would do; with `yes` does it. Raises typer.Exit when it is refused."""
    plan = rebuild.plan(log, job)
    _tell_plan(plan, output)
    if plan.faults:
        raise typer.Exit(exits.FOUND)
    if not yes:
        exits.tell("nothing was done: --yes does it")
        return

    shown = 0

    def accepted(text: str) -> bool:
        nonlocal shown
        shown += 1
        if shown <= MOST_SHOWN:
            exits.tell(text)
        return accept

    found = rebuild.carry_out(
        log, job, clock(), accepted, _progress(2 * plan.events + plan.inputs), exits.tell
    )
    _tell_rebuilt(job.process_manager, found, output)
    if not found.is_live:
        raise typer.Exit(exits.FOUND)


def abandon(log: Log, app: App, process_manager: str, *, yes: bool) -> None:
    """Gives up a rebuild (or a rollback) that is under way."""
    making = generations.under_way(log, app, process_manager)
    if making is None or making.change.what not in (rebuild.WHAT, generations.ROLL_BACK):
        raise ConfigurationError(f"no rebuild of {process_manager} is under way")
    old, new = making.old, making.new
    if not yes:
        exits.tell(
            f"would give up the {making.change.what} that makes generation {new.generation} of "
            f"{process_manager}: generation {old.generation} goes on where it stood; --yes does it"
        )
        return
    generations.abandon(log, making)
    exits.tell(f"generation {old.generation} of {process_manager} goes on where it stood")
    if making.change.what == rebuild.WHAT:
        exits.tell(f"{new.changelog} and, if it was made, {new.inbox} may be deleted")


def roll_back(log: Log, app: App, process_manager: str, *, yes: bool, again: bool) -> None:
    """Goes back to the generation before the last rebuild."""
    app.manager(process_manager)
    state = read_state(log, app.name, process_manager)
    making = generations.under_way(log, app, process_manager)
    if making is None and state.past and state.past[-1].what != rebuild.WHAT:
        raise ConfigurationError(
            f"generation {state.generation} of {process_manager} comes from a "
            f"{state.past[-1].what}, not from a rebuild: its own command goes back"
        )
    names = state.names(app.name, process_manager)
    if making is None and state.past and rebuild.has_run(log, names):
        exits.tell(
            f"generation {names.generation} of {process_manager} has run: what it has taken in is "
            "taken in again by the generation before, and the commands of that are sent again, "
            "under the same ids where it makes the same ones"
        )
        if not again:
            raise ConfigurationError(
                "workers of the new generation have run: --send-again goes back all the same"
            )
    if not yes:
        before = state.past[-1].generation if state.past else 0
        exits.tell(
            f"would close generation {names.generation} of {process_manager} and go on with "
            f"generation {before} where it stood; --yes does it"
            if before
            else f"{process_manager} has only run in generation {names.generation}"
        )
        return
    making = generations.begin_roll_back(log, app, process_manager, clock())
    generations.roll_back(log, making, clock())
    exits.tell(
        f"generation {making.new.generation} of {process_manager} is live again and goes on where "
        f"it stood; generation {making.old.generation} is closed, its topics may be deleted"
    )


def _tell_plan(plan: Plan, output: Output) -> None:
    name = plan.old.process_manager
    what = "goes on with generation" if plan.resumed else "would make generation"
    seconds = (2 * plan.events + plan.inputs) / INPUTS_PER_SECOND
    exits.tell(
        f"{what} {plan.new.generation} of {name} from {plan.events} offsets of its sources and "
        f"{plan.inputs} of its orders and replies, by the code at hand, without sending commands: "
        f"{plan.new.changelog}, {plan.partitions} partitions, beside generation "
        f"{plan.old.generation} ({plan.instances} instances), which stays; about {seconds:.0f} s"
    )
    rows = [
        {"partition": f"{place.topic}-{place.partition}", "from": start, "until": end}
        for place, (start, end) in sorted(plan.sources.items())
    ]
    if output is Output.JSON:
        print_json({"plan": rows, "faults": list(plan.faults)})
    else:
        show(rows, output)
    for fault in plan.faults:
        exits.tell(fault)


def _tell_rebuilt(name: str, found: Rebuilt, output: Output) -> None:
    if output is Output.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        print(
            f"{name}: generation {found.generation} has {found.instances} instances; "
            f"{found.differing} stand elsewhere than before"
        )
    if found.is_live:
        exits.tell(
            f"generation {found.generation} is live: start the workers; `pmstream replay ... "
            "--roll-back` goes back"
        )
    else:
        exits.tell(
            f"{len(found.lost)} losses: generation {found.generation} is not live, and workers "
            "wait. --abandon gives it up; finish what is named, then rebuild anew; or the same "
            "command with --accept-losses"
        )


def _progress(total: int) -> Callable[[int], None]:
    began = time.monotonic()
    told, done = began, 0

    def tell(more: int) -> None:
        nonlocal told, done
        done += more
        now = time.monotonic()
        if done and now - told >= _PROGRESS_SECONDS:
            told = now
            left = (now - began) / done * max(total - done, 0)
            exits.tell(f"{done} of {total} offsets, about {left:.0f} s to go")

    return tell
