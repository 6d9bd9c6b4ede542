"""`pmstream timers`: what the changelog tells of the timers of a process manager."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pmstream.cli.exits import tell
from pmstream.cli.loading import clock
from pmstream.cli.output import Output, OutputOption, show
from pmstream.cli.spans import moment
from pmstream.cli.target import AppOrName, ManagerOrAll, targets
from pmstream.operate import timers

MOST_SHOWN = 1_000
"""Timers shown unless --limit says otherwise."""

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def _timers() -> None:
    """Look at timers, fire and cancel them."""


@commands.command(name="list")
def list_timers(
    app: AppOrName,
    process_manager: ManagerOrAll = None,
    *,
    uuid: Annotated[str, typer.Option(help="Only of this process.")] = "",
    due_before: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Only those due before that: now, or 2026-01-31T12:00+00:00.",
            show_default=False,
        ),
    ] = "",
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = MOST_SHOWN,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists timers, of one process manager or of all, the earliest first.

    Example: pmstream timers list bank.payments:app --due-before now
    """
    before = moment(due_before, "--due-before", clock().now()) if due_before else None
    found = [
        (each.due, to.names.process_manager, each)
        for to in targets(app, process_manager)
        for each in timers.find(to.log, to.names, uuid, before)
    ]
    found.sort(key=lambda each: each[:2])
    show(
        [
            {
                "process_manager": manager,
                "due": datetime.fromtimestamp(each.due / 1000, UTC).isoformat(),
                "uuid": each.uuid,
                "timer": each.name,
                "queued": each.queued,
                "correlation_id": each.correlation_id,
            }
            for _, manager, each in found[:limit]
        ],
        output,
    )
    if len(found) > limit:
        tell(f"{len(found)} timers, the first {limit} are shown: --limit shows more")
