"""`pmstream instances`: what the changelog tells of the instances of a process manager."""

import shlex
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, clock, connect, load_app
from pmstream.cli.ordering import READING, ConditionOption, WhereOption
from pmstream.cli.output import Output, OutputOption, print_json, show, working
from pmstream.cli.spans import milliseconds, short
from pmstream.cli.target import AppOrName, ManagerName, ManagerOrAll, Uuid, target
from pmstream.config import Settings
from pmstream.core.lifecycle import Condition
from pmstream.operate import instances
from pmstream.operate.check import Checked, check
from pmstream.operate.selection import STUCK, Wanted, choose

commands = typer.Typer(no_args_is_help=True)

OlderOption = Annotated[
    str,
    typer.Option(
        "--older-than",
        metavar="10m",
        help="Those that have stood so for as long: 30s, 10m, 2h, 7d.",
    ),
]


@commands.command(name="list")
def list_instances(
    app: AppOrName,
    process_manager: ManagerName,
    *,
    condition: ConditionOption = None,
    where: WhereOption = "",
    older_than: OlderOption = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists instances.

    Example: pmstream instances list bank.payments:app transfer-money --condition parked
    --where 'amount > 100' --older-than 10m
    """
    to = target(app, process_manager)
    wanted = Wanted(
        conditions=tuple(condition or ()),
        where=where,
        older_than_ms=milliseconds(older_than, "--older-than"),
        fields=to.fields,
    )
    with working(READING):
        rows = [_row(each.seen) for each in choose(to.log, to.names, wanted, clock().now())]
    if output is Output.TABLE:
        rows = [{name: row[name] for name in _COLUMNS} for row in rows]
    show(rows, output)


@commands.command(name="stuck")
def list_stuck(
    app: AppOrName,
    process_manager: ManagerName,
    *,
    older_than: OlderOption = "",
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists instances that retry, are parked, held, or await a reply: the oldest first.

    Each with why, and with what to type next. Exit code 1 if there are any.

    Example: pmstream instances stuck bank.payments:app transfer-money --older-than 10m
    """
    to, now = target(app, process_manager), clock().now()
    wanted = Wanted(conditions=STUCK, older_than_ms=milliseconds(older_than, "--older-than"))
    with working(READING):
        found = [each.seen for each in choose(to.log, to.names, wanted, now)]
    found.sort(key=lambda each: (each.since, each.uuid))
    show([_stuck(each, app, process_manager, now) for each in found], output)
    if found:
        raise typer.Exit(exits.FOUND)


def _stuck(seen: instances.Seen, app: str, process_manager: str, now: int) -> dict[str, Any]:
    where = f"{shlex.quote(app)} {shlex.quote(process_manager)} {shlex.quote(seen.uuid)}"
    return {
        "uuid": seen.uuid,
        "condition": seen.condition,
        "for": short(now - seen.since),
        "attempts": seen.attempts,
        "backlog": seen.backlog,
        "why": _why(seen),
        "next": f"pmstream instances {_NEXT[seen.condition]} {where}",
    }


def _why(seen: instances.Seen) -> str:
    if not seen.reason or seen.reason in seen.error:
        return seen.error or _WAITS[seen.condition]
    return f"{seen.reason} ({seen.error})" if seen.error else seen.reason


_WAITS = {
    Condition.RETRYING: "an input failed",
    Condition.PARKED: "an operator has to decide",
    Condition.HOLDING: "an early event waits for the start",
    Condition.AWAITING: "a command is out; its reply is awaited",
}

_NEXT = {
    Condition.RETRYING: "retry",
    Condition.PARKED: "release",
    Condition.HOLDING: "history",
    Condition.AWAITING: "history",
}
"""What to type next, when the cause is mended; else to see what happened."""


@commands.command(name="show")
def show_instance(
    app: AppOrName,
    process_manager: ManagerName,
    uuid: Uuid,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one instance and what waits behind it; exit code 1 if there is none.

    Example: pmstream instances show bank.payments:app transfer-money 7f6c...
    """
    to = target(app, process_manager)
    found = instances.show(to.log, to.names, uuid)
    if found is None:
        exits.tell(f"{process_manager} has no instance {uuid}: it never began, or has ended")
        raise typer.Exit(exits.FOUND)
    row = _row(found.seen) | {"context": _plain(found.context), "waiting": list(found.backlog)}
    if output is Output.JSON:
        print_json(row)
    else:
        show([{"field": name, "value": value} for name, value in row.items()], output)


MOST_SHOWN = 100
"""Faults of a check that are shown in a table."""


@commands.command(name="check")
def check_instances(
    app: AppName,
    process_manager: ManagerOrAll = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Reads all instances with the code at hand, before it is rolled out; exit code 1 if any fails.

    States (through their upcasters), inputs that wait, and commands at hand must be readable.
    Nothing is written.

    Example: pmstream instances check bank.payments:app
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    names = [process_manager] if process_manager else list(the_app.process_managers)
    found = [check(log, the_app, each) for each in names]
    if output is Output.JSON:
        print_json(_plain(found))
    else:
        for each in found:
            _show_checked(each)
    if any(each.faults for each in found):
        raise typer.Exit(exits.FOUND)


def _show_checked(found: Checked) -> None:
    versions = ", ".join(f"{count} of {version}" for version, count in found.versions.items())
    print(
        f"{found.process_manager}: {found.instances} instances (state_version: "
        f"{versions or 'none'}), {found.waiting} inputs wait behind them, "
        f"{found.faults} faults"
    )
    show([_plain(each) for each in found.unfit[:MOST_SHOWN]], Output.TABLE)
    if found.faults > MOST_SHOWN:
        exits.tell(f"the first {MOST_SHOWN} are shown; -o json shows {len(found.unfit)}")


_COLUMNS = ("uuid", "condition", "attempts", "backlog", "state", "error", "reason")


def _row(seen: instances.Seen) -> dict[str, Any]:
    row = _plain(seen)
    due = datetime.fromtimestamp(seen.due / 1000, UTC).isoformat() if seen.due else None
    since = datetime.fromtimestamp(seen.since / 1000, UTC).isoformat()
    empty = {name: row[name] or None for name in ("error", "reason")}
    return {**row, **empty, "due": due, "since": since}


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, str_keys=True)
