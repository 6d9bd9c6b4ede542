"""`pmstream timers`: what the changelog tells of the timers of a process manager."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from pmstream.cli.exits import tell
from pmstream.cli.output import Output, OutputOption, show
from pmstream.cli.target import AppOrName, ManagerName, target
from pmstream.errors import ConfigurationError
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
    process_manager: ManagerName,
    *,
    uuid: Annotated[str, typer.Option(help="Only of this process.")] = "",
    due_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only those due before that: 2026-01-31T12:00+00:00, or now."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="So many at most.")] = MOST_SHOWN,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists timers, the earliest first.

    Example: pmstream timers list bank.payments:app transfer-money --due-before now
    """
    to = target(app, process_manager)
    found = timers.find(to.log, to.names, uuid, _milliseconds(due_before))
    show(
        [
            {
                "due": datetime.fromtimestamp(each.due / 1000, UTC).isoformat(),
                "uuid": each.uuid,
                "timer": each.name,
                "queued": each.queued,
                "correlation_id": each.correlation_id,
            }
            for each in found[:limit]
        ],
        output,
    )
    if len(found) > limit:
        tell(f"{len(found)} timers, the first {limit} are shown: --limit shows more")


def _milliseconds(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        when = datetime.now(UTC) if text == "now" else datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(
            f"--due-before is {text!r}, which is no time: write 2026-01-31T12:00+00:00, or now"
        ) from None
    if when.tzinfo is None:
        raise ConfigurationError(f"--due-before {text} has no time zone: add +00:00 for UTC")
    return int(when.timestamp() * 1000)
