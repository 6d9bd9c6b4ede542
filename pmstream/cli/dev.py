"""`pmstream dev`: a real Kafka on this machine, for development and tests."""

import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from pmstream.cli.exits import DONE, FOUND
from pmstream.cli.loading import connect
from pmstream.cli.output import Output, OutputOption
from pmstream.errors import ConfigurationError

commands = typer.Typer(no_args_is_help=True)


@commands.callback()
def _dev() -> None:
    """For development."""


@commands.command()
def kafka(
    brokers: Annotated[int, typer.Option(help="1 or 3.")] = 1,
    directory: Annotated[
        Path | None,
        typer.Option("--dir", help="Keep data here.", show_default="a temporary directory"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65_533, help="Of the first broker; the others follow.", show_default="free"
        ),
    ] = None,
    kafka_home: Annotated[
        Path | None,
        typer.Option(help="A folder of Kafka's jars.", show_default="the cache, or fetched"),
    ] = None,
) -> None:
    """Runs Apache Kafka until Ctrl-C; prints its bootstrap servers once it can be used.

    Example: pmstream dev kafka --brokers 3 --port 9092
    """
    try:
        from pmstream.devkafka import serve
    except ImportError as error:
        raise ConfigurationError(
            f"the embedded Kafka is not installed ({error}): pip install 'pmstream[kafka-dev]'"
        ) from error
    serve(
        brokers,
        directory,
        port,
        kafka_home,
        say=lambda line: print(line, flush=True),
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )


@commands.command()
def chaos(
    *,
    minutes: Annotated[float, typer.Option(min=0.1, help="How long faults strike.")] = 2.0,
    seed: Annotated[int, typer.Option(help="Of events and faults.")] = 1,
    workers: Annotated[int, typer.Option(min=1, max=6, help="Instances workers.")] = 3,
    brokers: Annotated[int, typer.Option(help="1 or 3.")] = 1,
    rate: Annotated[int, typer.Option(min=1, help="Events a second.")] = 250,
    only: Annotated[
        list[str] | None, typer.Option(help="A kind of fault; may be repeated.", show_default="all")
    ] = None,
    kills_only: Annotated[
        int, typer.Option(min=0, help="Measure recovery from so many kills of each kind instead.")
    ] = 0,
    rolling: Annotated[
        float | None,
        typer.Option(
            min=0, help="Replace workers one by one instead, each away for so many seconds."
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep logs, state and Kafka's data.")
    ] = False,
) -> int:
    """Lets everything fail at random under load, then verifies from the topics.

    Example: pmstream dev chaos --minutes 10 --workers 3 --brokers 3 --seed 7
    """
    from pmstream.chaos.play import VERDICT, play
    from pmstream.chaos.recovery import measure
    from pmstream.chaos.rolling import measure as roll
    from pmstream.chaos.stage import Plan

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, _interrupt)
    plan = Plan(minutes, seed, workers, brokers, rate, tuple(only or ()))
    if kills_only:
        summary = measure(plan, kills_only, connect, _progress, keep=keep)
    elif rolling is not None:
        summary = roll(plan, rolling, connect, _progress, keep=keep)
    else:
        summary = play(plan, connect, _progress, keep=keep)
    show(summary, output, last=VERDICT)
    return FOUND if summary.get("wrong") else DONE


def _interrupt(_signal: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def show(summary: dict[str, Any], output: Output, last: Sequence[str]) -> None:
    """Prints a summary; in JSON what `last` names is a line of its own behind the details."""
    if output is Output.JSON:
        details = {name: value for name, value in summary.items() if name not in last}
        found = {name: summary[name] for name in last if name in summary}
        for line in filter(None, (details, found)):
            print(json.dumps(line), flush=True)
        return
    for name, value in summary.items():
        if name != "wrong":
            print(f"{name:>16}  {value}")
    for each in summary.get("wrong", ()):
        print(f"WRONG: {each}")
