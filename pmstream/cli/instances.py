"""`pmstream instances`: what the changelog tells of the instances of a process manager."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import typer

from pmstream.app import Names
from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.config import Settings
from pmstream.core.lifecycle import Condition
from pmstream.operate import instances
from pmstream.operate.check import Checked, check

commands = typer.Typer(no_args_is_help=True)

AppOrName = Annotated[
    str,
    typer.Argument(
        metavar="APP", help="module:attribute of an App, or just its name.", show_default=False
    ),
]
ManagerName = Annotated[
    str, typer.Argument(metavar="PM", help="The process manager's name.", show_default=False)
]


@commands.command(name="list")
def list_instances(
    app: AppOrName,
    process_manager: ManagerName,
    condition: Annotated[
        list[Condition] | None, typer.Option(help="Only those; may be given several times.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists instances.

    Example: pmstream instances list bank.payments:app transfer-money --condition parked
    """
    settings = Settings.load()
    names = names_of(app, process_manager, settings)
    rows = [_row(each) for each in instances.find(connect(settings), names, condition or ())]
    if output is Output.TABLE:
        rows = [{name: row[name] for name in _COLUMNS} for row in rows]
    show(rows, output)


@commands.command(name="show")
def show_instance(
    app: AppOrName,
    process_manager: ManagerName,
    uuid: Annotated[str, typer.Argument(metavar="UUID", show_default=False)],
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one instance and what waits behind it; exit code 1 if there is none.

    Example: pmstream instances show bank.payments:app transfer-money 7f6c...
    """
    settings = Settings.load()
    names = names_of(app, process_manager, settings)
    found = instances.show(connect(settings), names, uuid)
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
    process_manager: Annotated[
        str | None,
        typer.Argument(metavar="[PM]", help="Only this process manager.", show_default=False),
    ] = None,
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


def names_of(app: str, process_manager: str, settings: Settings) -> Names:
    """An app's name does as well as its code: the changelog tells the rest."""
    if ":" not in app:
        return Names(app, process_manager)
    the_app = load_app(app, settings)
    return Names(the_app.name, the_app.manager(process_manager).name)


def _row(seen: instances.Seen) -> dict[str, Any]:
    row = _plain(seen)
    due = datetime.fromtimestamp(seen.due / 1000, UTC).isoformat() if seen.due else ""
    return {**row, **{name: row[name] or None for name in ("error", "reason")}, "due": due or None}


def _plain(value: object) -> Any:
    return msgspec.to_builtins(value, str_keys=True)
