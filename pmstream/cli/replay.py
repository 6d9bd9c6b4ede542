"""`pmstream replay`: history again, for real or in the shadow."""

import re
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
import typer

from pmstream.app import App
from pmstream.cli import exits
from pmstream.cli import rebuild as rebuilding
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.cli.target import ManagerName
from pmstream.config import Settings
from pmstream.core.starting import CURRENT, ORIGIN, StartFrom
from pmstream.errors import ConfigurationError
from pmstream.operate import starts
from pmstream.operate.job import Job
from pmstream.operate.shadow import Compared, compare
from pmstream.runtime.log import Committed, Log, TopicPartition

MOST_SHOWN = 100
"""Differences of a kind that are shown in a table."""

_PROGRESS_SECONDS = 2.0
_PLACE = re.compile(r"([A-Za-z0-9._-]+):([0-9]{1,9}):([0-9]{1,18})")


ShadowOption = Annotated[
    bool,
    typer.Option(
        "--shadow",
        help="Run today's code over history and tell what would differ; writes nothing.",
    ),
]
FromOption = Annotated[
    list[str] | None,
    typer.Option(
        "--from",
        metavar="WHERE",
        help="Deliver again (or rebuild) from there: origin, current, a time with its zone, "
        "or topic:partition:offset (may be given several times).",
        show_default=False,
    ),
]


def replay(
    app: AppName,
    process_manager: ManagerName,
    *,
    shadow: ShadowOption = False,
    rebuild: rebuilding.RebuildOption = False,
    rollback: rebuilding.RollbackOption = False,
    abandon: rebuilding.AbandonOption = False,
    start: FromOption = None,
    accept_losses: rebuilding.AcceptOption = False,
    send_again: rebuilding.AgainOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; else only tell.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Delivers events again, shows what today's code would make of history, or makes it so.

    Delivered again: what an owner has taken in before it drops, so only what never arrived counts.
    Nothing happens without --yes, and while routers run it is refused.

    In the shadow: exit code 1 if any instance or command would differ.

    Rebuilt: refused, with a list, where history is not retained or work is unfinished. A rebuild
    that was ended goes on when it is called again; workers wait until it is done.

    Example: pmstream replay bank.payments:app transfer-money --shadow
    """
    modes = [shadow, rebuild, rollback, abandon]
    if sum(modes) > 1 or (start and any(modes) and not rebuild) or not (start or any(modes)):
        raise ConfigurationError(
            "say one of --shadow, --rebuild, --roll-back, --abandon; or where to deliver again "
            "--from"
        )
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    the_app.manager(process_manager)
    if rebuild:
        begins = _where(start) if start else None
        job = Job(the_app, process_manager, begins, settings)
        rebuilding.run(log, job, yes=yes, accept=accept_losses, output=output)
        return
    if rollback:
        rebuilding.roll_back(log, the_app, process_manager, yes=yes, again=send_again)
        return
    if abandon:
        rebuilding.abandon(log, the_app, process_manager, yes=yes)
        return
    if shadow:
        _shadow(the_app, log, process_manager, settings, output)
    else:
        _redeliver(the_app, log, process_manager, _where(start or []), yes=yes, output=output)


def _shadow(app: App, log: Log, process_manager: str, settings: Settings, output: Output) -> None:
    exits.tell(
        f"runs the code at hand over the history of {process_manager}: all that was taken in, "
        "until its last commit; nothing is written"
    )
    found = compare(log, app, process_manager, settings, _progress())
    if output is Output.JSON:
        print_json(msgspec.to_builtins(found, str_keys=True))
    else:
        _show(found)
    if not found.is_same:
        raise typer.Exit(exits.FOUND)


def _progress() -> Callable[[int, int], None]:
    began, told = time.monotonic(), [time.monotonic()]

    def tell(done: int, total: int) -> None:
        now = time.monotonic()
        if now - told[0] >= _PROGRESS_SECONDS:
            told[0] = now
            left = (now - began) / done * max(total - done, 0)
            exits.tell(f"{done} of {total} offsets, about {left:.0f} s to go")

    return tell


def _show(found: Compared) -> None:
    print(
        f"{found.process_manager}: {found.records} records replayed; {found.changed_in_all} of "
        f"{found.instances} instances would stand elsewhere; {found.commands} commands the same, "
        f"{len(found.gone)} gone, {len(found.new)} new, {len(found.altered)} altered"
    )
    show(
        [_row(each.uuid, each.live, each.shadow) for each in found.changed[:MOST_SHOWN]],
        Output.TABLE,
    )
    for what, ids in (("gone", found.gone), ("new", found.new), ("altered", found.altered)):
        for id in ids[:MOST_SHOWN]:
            print(f"{what:8} {id}")
        if len(ids) > MOST_SHOWN:
            exits.tell(f"the first {MOST_SHOWN} of {len(ids)} {what} commands: -o json has all")
    if found.changed_in_all > MOST_SHOWN:
        exits.tell(f"the first {MOST_SHOWN} instances are shown; -o json has {len(found.changed)}")
    for note in found.notes:
        exits.tell(note)


def _row(uuid: str, live: Any, shadow: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"uuid": uuid}
    for name, told in (("live", live), ("shadow", shadow)):
        row[name] = told.condition if told is not None else "no instance"
        row[f"{name} state"] = told.state if told is not None else None
    return row


# Delivered again


def _where(texts: list[str]) -> StartFrom:
    places = [_PLACE.fullmatch(text) for text in texts]
    found: dict[str, dict[int, int]] = {}
    for place in places:
        if place is not None:
            found.setdefault(place[1], {})[int(place[2])] = int(place[3])
    if all(places):
        return found
    if len(texts) == 1 and texts[0] in (ORIGIN, CURRENT):
        return texts[0]
    try:
        (text,) = texts
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--from {' '.join(texts)}: write origin, current, 2026-01-31T12:00+00:00, or places "
            "as topic:partition:offset"
        ) from None
    if when.tzinfo is None:
        raise ConfigurationError(f"--from {text} has no time zone: add +00:00 for UTC")
    return when


def _redeliver(
    app: App, log: Log, process_manager: str, where: StartFrom, *, yes: bool, output: Output
) -> None:
    found, now = starts.moved(app, log, process_manager, where)
    for fault in found.faults:
        exits.tell(fault)
    if found.faults:
        raise typer.Exit(exits.FOUND)
    show([row for each in found.new for row in _moves(each.positions, now)], output)
    if not yes:
        exits.tell("nothing was moved: --yes does it (stop the routers first)")
        return
    starts.set_starts(app, log, found)
    exits.tell(f"moved: {process_manager} reads on from there when its routers start")


def _moves(
    positions: Mapping[TopicPartition, Committed], now: Mapping[TopicPartition, Committed]
) -> list[dict[str, Any]]:
    return [
        {
            "partition": f"{place.topic}-{place.partition}",
            "stands at": now[place].position if place in now else None,
            "would stand at": committed.position,
        }
        for place, committed in sorted(positions.items())
    ]
