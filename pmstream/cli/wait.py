"""`pmstream wait`: returns when an event is handled."""

from typing import Annotated, Any

import msgspec
import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, print_json, show
from pmstream.config import Settings
from pmstream.operate.wait import TIMEOUT_SECONDS, Handled, Verdict, handled


def wait(
    app: AppName,
    *,
    event: Annotated[
        str, typer.Option(metavar="TOPIC-PARTITION-OFFSET", help="Where the event stands.")
    ],
    pm: Annotated[
        list[str] | None,
        typer.Option(
            help="Only this process manager; may be given several times.",
            show_default='those with consistency="strong"',
        ),
    ] = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds; 0 looks once.")] = TIMEOUT_SECONDS,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Tell instances that retry, park or wait with it: they are not done, exit code 1.",
        ),
    ] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Waits until an event is handled; exit code 1 when the time is up.

    Example: pmstream wait bank.payments:app --event bank.transfers-0-17 --timeout 10
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    found = handled(log, the_app, event, pm or None, timeout, explain=explain)
    if output is Output.JSON:
        print_json(msgspec.to_builtins(found))
    else:
        show([row for each in found for row in _rows(each, explain=explain)], output)
    if any(each.verdict is not Verdict.HANDLED for each in found):
        raise typer.Exit(exits.FOUND)


def _rows(found: Handled, *, explain: bool) -> list[dict[str, Any]]:
    """One for each instance that is not done with the event, or one for all."""
    begin = {"process manager": found.process_manager, "verdict": found.verdict}
    rows: list[dict[str, Any]] = []
    for each in found.deferred or (None,):
        fields = {name: getattr(each, name, None) for name in ("uuid", "how", "since", "error")}
        rows.append({**begin, **(fields if explain else {}), "still to come": found.why or None})
    return rows
