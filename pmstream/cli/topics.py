"""`pmstream topics`: makes, checks and lists the topics of an app."""

import sys
from typing import Annotated, Any

import typer

from pmstream.app import App
from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, show
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.operate import starts, topics
from pmstream.operate.bounds import records
from pmstream.runtime.log import Log

commands = typer.Typer(no_args_is_help=True)

CreateMissing = Annotated[
    bool, typer.Option("--create-missing", help="Make source and command topics, too.")
]


@commands.command()
def ensure(
    app: AppName,
    create_missing: CreateMissing = False,
    restart_expired: Annotated[
        bool,
        typer.Option(
            "--restart-expired",
            help="Positions that Kafka forgot: begin at the origin, drop what was handled.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Makes missing topics and sets start positions; alters nothing that exists.

    Example: pmstream topics ensure bank.payments:app --yes
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    plan = topics.plan(the_app, log, settings, create_missing=create_missing)
    found = starts.find_starts(the_app, log, restart_expired=restart_expired)
    _tell_faults(*plan.faults, *found.faults)
    if plan.faults or found.faults:
        raise typer.Exit(exits.FOUND)
    for spec in plan.create:
        print(f"+ {spec.name} ({spec.partitions} partitions)")
    _agree(found, yes=yes)
    topics.carry_out(plan, log)
    _start(the_app, log, restart_expired=restart_expired)
    _tell_differences(plan)
    _tell_faults(*topics.other_counts(the_app, log, settings))
    if plan.differences:
        raise typer.Exit(exits.FOUND)
    print(f"topics of {the_app.name}: all there")


def _start(app: App, log: Log, *, restart_expired: bool) -> None:
    """Sets positions in what exists now, topics just made among it."""
    found = starts.find_starts(app, log, restart_expired=restart_expired)
    _tell_faults(*found.faults)
    if found.faults:
        raise typer.Exit(exits.FOUND)
    starts.set_starts(app, log, found)
    for each in found.new:
        print(f"+ {each.process_manager} starts in {each.topic} at {each.start_from}")


def _agree(found: starts.Starts, *, yes: bool) -> None:
    """Asks before a history is worked off."""
    for each in found.new:
        if each.past:
            print(
                f"{each.process_manager} starts in {each.topic} at {each.start_from}: "
                f"{each.past} past events will be handled"
            )
    if yes or not found.past:
        return
    if not sys.stdin.isatty():
        raise ConfigurationError(
            f"{found.past} past events would be handled and nobody can be asked: repeat it with "
            '--yes, or set start_from="current"'
        )
    if not typer.confirm("Go on?"):
        print("nothing was done")
        raise typer.Exit(exits.FOUND)


@commands.command()
def check(app: AppName, output: OutputOption = Output.TABLE) -> None:
    """Compares topics with what the app needs; exit code 1 if anything differs.

    Example: pmstream topics check bank.payments:app
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    plan = topics.plan(the_app, log, settings)
    found, odd = starts.find_starts(the_app, log), topics.other_counts(the_app, log, settings)
    if output is Output.JSON:
        show(_findings(plan, found, odd), output)
    else:
        _tell_faults(*plan.faults, *found.faults)
        for spec in plan.create:
            print(f"- {spec.name} is missing: `pmstream topics ensure {app}` makes it")
        for each in found.new:
            print(f"- {each.process_manager} has no start position in {each.topic}")
        _tell_differences(plan)
        _tell_faults(*odd)
    if not plan.is_clean or found.faults or found.new or odd:
        raise typer.Exit(exits.FOUND)
    if output is Output.TABLE:
        print(f"topics of {the_app.name}: all there")


def _findings(plan: topics.Plan, found: starts.Starts, odd: list[str]) -> list[dict[str, Any]]:
    rows = [{"finding": "fault", "text": text} for text in (*plan.faults, *found.faults)]
    rows += [{"finding": "count", "text": text} for text in odd]
    rows += [{"finding": "missing", "topic": spec.name} for spec in plan.create]
    rows += [
        {"finding": "no-start", "process_manager": each.process_manager, "topic": each.topic}
        for each in found.new
    ]
    return rows + [
        {
            "finding": "difference",
            "topic": each.topic,
            "setting": each.setting,
            "wanted": each.wanted,
            "found": each.found,
        }
        for each in plan.differences
    ]


@commands.command(name="list")
def list_topics(app: AppName, output: OutputOption = Output.TABLE) -> None:
    """Lists the topics of an app.

    Example: pmstream topics list bank.payments:app -o json
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    existing = log.topics()
    rows = []
    for each in topics.wanted(the_app, log, settings):
        info = existing.get(each.spec.name)
        rows.append(
            {
                "topic": each.spec.name,
                "role": str(each.role),
                "process manager": each.process_manager or None,
                "partitions": info.partitions if info else "missing",
                "offsets": records(log, info) if info else None,
            }
        )
    show(rows, output)


def _tell_faults(*faults: str) -> None:
    for fault in faults:
        exits.tell(fault)


def _tell_differences(plan: topics.Plan) -> None:
    """As a diff: what is there, what should be; `pmstream` never alters it."""
    for topic in dict.fromkeys(each.topic for each in plan.differences):
        print(topic)
        for each in plan.differences:
            if each.topic == topic:
                print(f"  - {each.setting}={each.found or ''}")
                print(f"  + {each.setting}={each.wanted}")
