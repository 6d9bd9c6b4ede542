"""`pmstream status`: one screen that says whether all is well, and if not, where."""

from typing import Any

import msgspec
import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.config import Settings
from pmstream.core.lifecycle import Condition
from pmstream.operate.findings import APP, Finding, findings
from pmstream.operate.status import MOST_DEAD_LETTERS, Fares
from pmstream.operate.status import status as look

_SHOWN = {
    "retrying": Condition.RETRYING,
    "parked": Condition.PARKED,
    "held": Condition.HOLDING,
    "awaiting replies": Condition.AWAITING,
}


def status(app: AppName, output: OutputOption = Output.TABLE) -> None:
    """Shows how each process manager fares; exit code 1 if anything is not well.

    It asks Kafka only, from any machine: who works, how far behind they are, what instances wait
    for. The last line says whether all is well; if not, where, and what to run next.

    Example: pmstream status bank.payments:app
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    fares = look(log, the_app)
    found = findings(fares)
    if output is Output.JSON:
        print_json(_plain(app, fares, found))
    else:
        _print(app, the_app.name, fares, found)
    if found:
        raise typer.Exit(exits.FOUND)


def _print(app: str, name: str, fares: list[Fares], found: list[Finding]) -> None:
    columns = {each.process_manager: _column(each) for each in fares}
    fields = dict.fromkeys(field for column in columns.values() for field in column)
    rows = [
        {"process manager": field, **{pm: column.get(field) for pm, column in columns.items()}}
        for field in fields
    ]
    show(rows, Output.TABLE)
    print()
    for each in found:
        print(f"- {each.process_manager}: {each.what}")
    if found:
        first = found[0]
        print(f"{name} is not well, first see to {first.process_manager}: `{_command(app, first)}`")
    else:
        print(f"{name} is well")


def _column(fares: Fares) -> dict[str, Any]:
    """What one process manager has under its name."""
    if fares.missing:
        return {"topics": f"{len(fares.missing)} missing"}
    column: dict[str, Any] = {}
    for group in fares.groups:
        who = f" ({', '.join(group.members)})" if group.members else ""
        column[f"{group.role} workers"] = f"{len(group.members)}{who}"
        column[f"{group.role} partitions"] = group.partitions
        column[f"{group.role} lag"] = group.lag
        column[f"{group.role} hidden by transactions"] = group.gap
    if fares.roll is not None:
        column["instances"] = fares.roll.instances
        conditions = fares.roll.conditions
        column |= {name: conditions.get(each, 0) for name, each in _SHOWN.items()}
        column["paused partitions"] = len(fares.roll.paused)
        column |= {"inputs in backlogs": fares.roll.backlog, "overdue": fares.roll.overdue}
    count = fares.dead_letters.count
    column["dead letters"] = f"{count} or more" if count >= MOST_DEAD_LETTERS else count
    return column


def _plain(app: str, fares: list[Fares], found: list[Finding]) -> dict[str, Any]:
    return {
        "well": not found,
        "process_managers": msgspec.to_builtins(fares, str_keys=True),
        "findings": [
            {
                "process_manager": each.process_manager,
                "what": each.what,
                "command": _command(app, each),
            }
            for each in found
        ],
    }


def _command(app: str, finding: Finding) -> str:
    return f"pmstream {finding.command.replace(APP, app, 1)}"
