"""`pmstream instances history`: all that happened to one process."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, clock, connect, load_app
from pmstream.cli.output import Output, OutputOption, counted, show
from pmstream.cli.spans import moment
from pmstream.cli.target import ManagerName, Uuid
from pmstream.config import Settings
from pmstream.operate.history import history as read_history
from pmstream.operate.messages import Viewer
from pmstream.operate.moments import Moment, What

MOST_SHOWN = 1_000
"""Lines shown unless --limit says otherwise; the last ones."""

_MESSAGES = frozenset({What.EVENT, What.COMMAND})


def history(
    app: AppName,
    process_manager: ManagerName,
    uuid: Uuid,
    *,
    since: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="Read no further back: 2h, or 2026-01-31T12:00+00:00.",
            show_default="the first event that is still there",
        ),
    ] = "",
    payloads: Annotated[
        bool, typer.Option("--payloads", help="Show what events and commands say.")
    ] = False,
    limit: Annotated[
        int, typer.Option(min=1, help="So many lines at most, the last.")
    ] = MOST_SHOWN,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tells what happened to a process: events, commands, timers, orders, and how it stood.

    It reads one partition of each of the process manager's topics, and the command topics. What was
    purged or compacted is not there any more. Exit code 1 if there is nothing.

    Example: pmstream instances history bank.payments:app transfer-money 7f6c... --since 2h
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    begin = moment(since, "--since", clock().now()) if since else None
    found = read_history(log, the_app, process_manager, uuid, begin, counted)
    if not found.moments:
        exits.tell(f"nothing is there of process {uuid}: it never began, or all of it is purged")
        raise typer.Exit(exits.FOUND)
    viewer = Viewer(the_app, log)
    show([_row(each, viewer, payloads) for each in found.moments[-limit:]], output)
    if len(found.moments) > limit:
        exits.tell(f"{len(found.moments)} lines, the last {limit} are shown: --limit shows more")
    if not since and found.commands_since is not None:
        exits.tell(f"commands are told from {_iso(found.commands_since)} on: see --since")


def _row(moment: Moment, viewer: Viewer, payloads: bool) -> dict[str, Any]:
    shown = None
    if moment.record is not None and moment.what in _MESSAGES:
        shown = viewer.view(moment.record)
    detail = ": ".join(each for each in ((shown.type if shown else ""), moment.detail) if each)
    row = {
        "time": _iso(moment.time),
        "what": str(moment.what),
        "position": moment.position,
        "detail": detail,
        "attempts": moment.attempts or None,
        "trace": moment.trace or None,
    }
    if payloads:
        row["payload"] = (shown.value if not shown.error else shown.error) if shown else None
    return row


def _iso(time: int) -> str:
    return datetime.fromtimestamp(time / 1000, UTC).isoformat(timespec="milliseconds")
