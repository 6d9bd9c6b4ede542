"""`pmstream dead-letters`: what could not be read or routed, and why."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, clock, load_app
from pmstream.cli.ordering import (
    Ask,
    WhoOption,
    WhyOption,
    YesOption,
    finish,
    tell_dry,
    user,
)
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.cli.spans import moment
from pmstream.cli.spread import spread
from pmstream.cli.target import AppOrName, ManagerName, target
from pmstream.errors import ConfigurationError
from pmstream.operate import dead_letters, orders
from pmstream.operate.dead_letters import Letter
from pmstream.operate.messages import Viewer
from pmstream.operate.redrive import Planned, Redriver

MOST_SHOWN = 1_000
"""Letters shown unless --limit says otherwise; the last ones."""

commands = typer.Typer(no_args_is_help=True)

LetterIds = Annotated[
    list[str],
    typer.Argument(metavar="LETTER...", help="partition:offset, as list shows it."),
]


@commands.command(name="list")
def list_letters(
    app: AppOrName,
    process_manager: ManagerName,
    *,
    since: Annotated[
        str,
        typer.Option(metavar="TIME", help="Only those found since: 1d, or 2026-01-31T12:00+00:00."),
    ] = "",
    everything: Annotated[
        bool, typer.Option("--all", help="Those that are done with, too.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many at most, the last.")] = MOST_SHOWN,
    output: OutputOption = Output.TABLE,
) -> None:
    """Lists dead letters: where each stood, and what was wrong with it.

    Example: pmstream dead-letters list bank.payments:app transfer-money --since 1d
    """
    to = target(app, process_manager)
    begin = moment(since, "--since", clock().now()) if since else None
    found = dead_letters.letters(to.log, to.names, begin)
    found = [each for each in found if everything or not each.mark]
    show([_row(each, everything) for each in found[-limit:]], output)
    if len(found) > limit:
        exits.tell(f"{len(found)} dead letters, the last {limit} are shown: see --limit")


@commands.command(name="show")
def show_letter(
    app: AppOrName,
    process_manager: ManagerName,
    letter: Annotated[
        str, typer.Argument(metavar="LETTER", help="partition:offset, as list shows it.")
    ],
    *,
    payload: Annotated[
        bool, typer.Option("--payload", help="Show what it says, and its headers' values.")
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows one dead letter; with the app's code also what that makes of it today.

    Example: pmstream dead-letters show bank.payments:app transfer-money 0:17
    """
    to = target(app, process_manager)
    [found] = dead_letters.named(to.log, to.names, [letter])
    headers = {name: _text(value) for name, value in dead_letters.own_headers(found)}
    row: dict[str, Any] = _row(found, everything=True) | {
        "bytes": len(found.record.value or b""),
        "headers": headers if payload else sorted(headers),
    }
    the_app = load_app(app, to.settings) if ":" in app else None
    if the_app is not None:
        row["today"] = dead_letters.today(the_app, found)
    if payload:
        value = Viewer(the_app, to.log).view(found.record).value if the_app is not None else None
        row["payload"] = value if value is not None else _text(found.record.value)
    if output is Output.JSON:
        print_json(row)
    else:
        show([{"field": name, "value": value} for name, value in row.items()], output)


@commands.command(name="redrive")
@spread
def redrive_letters(
    app: AppName,
    process_manager: ManagerName,
    ids: LetterIds,
    *,
    ask: Ask,
) -> None:
    """Decodes and routes dead letters with today's code, and lets their processes take them in.

    It is a dry run until --yes. An event comes late then: what followed it was handled without it.
    Exit code 1: some cannot be read still, were refused, or have no answer yet.

    Example: pmstream dead-letters redrive bank.payments:app transfer-money 0:17 --yes
    """
    to = target(app, process_manager)
    the_app, who = load_app(app, to.settings), ask.who or user()
    redriver = Redriver(to.log, the_app, process_manager, who, ask.why, clock().now())
    if not ask.yes:
        planned = redriver.plan(ids)
        show([_planned(each) for each in planned], ask.output)
        tell_dry(f"{sum(not each.refused for each in planned)} dead letters would be redriven")
        return
    planned, given = redriver.redrive(ids)
    for each in planned:
        if each.refused:
            exits.tell(f"{each.letter.id} is not redriven: {each.refused}")
    finish(orders.answered(to.log, given, clock(), ask.timeout), to, ask)
    if any(each.refused for each in planned):
        raise typer.Exit(exits.FOUND)


def _planned(planned: Planned) -> dict[str, Any]:
    uuids = ", ".join(each.process_uuid for each in planned.orders)
    return {
        "letter": planned.letter.id,
        "source": planned.letter.source,
        "would": f"reach {uuids}" if uuids else "not be redriven",
        "because": planned.refused or None,
    }


@commands.command(name="drop")
def drop_letters(
    app: AppOrName,
    process_manager: ManagerName,
    ids: LetterIds,
    *,
    why: WhyOption = "",
    who: WhoOption = "",
    yes: YesOption = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Marks dead letters as done with: list and status tell of them no more. --why is needed.

    It is a dry run until --yes. Exit code 1: some were dropped already.

    Example: pmstream dead-letters drop bank.payments:app transfer-money 0:17 --why "a test" --yes
    """
    if yes and not why.strip():
        raise ConfigurationError("an event will never be handled: tell by --why what for")
    to = target(app, process_manager)
    if not yes:
        found = dead_letters.named(to.log, to.names, ids)
        show([_row(each, everything=True) for each in found], output)
        tell_dry(f"{sum(not each.mark for each in found)} dead letters would be dropped")
        return
    found = dead_letters.drop(to.log, to.names, ids, who or user(), why, clock().now())
    show([_row(each, everything=False) for each in found], output)
    exits.tell(f"{len(found)} dropped, {len(set(ids)) - len(found)} were done with already")
    if len(found) < len(set(ids)):
        raise typer.Exit(exits.FOUND)


def _row(letter: Letter, everything: bool) -> dict[str, Any]:
    when = datetime.fromtimestamp(letter.time / 1000, UTC).isoformat(timespec="milliseconds")
    row = {
        "letter": letter.id,
        "time": when,
        "source": letter.source,
        "key": _text(letter.record.key),
        "error": letter.error,
    }
    return row | ({"mark": letter.mark or None} if everything else {})


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="backslashreplace")
