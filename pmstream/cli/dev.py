"""`pmstream dev`: a real Kafka on this machine, for development and tests."""

import sys
from pathlib import Path
from typing import Annotated

import typer

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
