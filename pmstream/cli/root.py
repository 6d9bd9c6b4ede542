"""Puts the nouns of the command line together."""

from typing import Annotated

import typer

from pmstream import __version__
from pmstream.cli import (
    dead_letters,
    demo,
    dev,
    doctor,
    history,
    instances,
    messages,
    orders,
    repartition,
    replay,
    run,
    schemas,
    status,
    timers,
    topics,
    wait,
    work,
)
from pmstream.cli.exits import Group

root = typer.Typer(
    name="pmstream",
    cls=Group,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _version(asked: bool) -> None:
    if asked:
        print(f"pmstream {__version__}")
        raise typer.Exit


@root.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Process managers (sagas) on Apache Kafka, exactly once.

    Settings come from PMSTREAM_* variables, pmstream.toml, or secret files.

    Exit codes: 0 done, 1 found something wrong, 2 usage or configuration.
    69 Kafka unreachable, 70 a process manager stopped, 75 try again.
    """


root.command()(run.run)
root.command(hidden=True)(work.worker)
root.command()(messages.produce)
root.command()(messages.consume)
root.command()(wait.wait)
root.command()(status.status)
root.command()(replay.replay)
root.command()(doctor.doctor)
root.command()(orders.pause)
root.command()(orders.resume)
topics.commands.command()(repartition.repartition)
instances.commands.command(name="history")(history.history)
orders.add_instances(instances.commands)
orders.add_timers(timers.commands)
root.add_typer(topics.commands, name="topics", help="Make, check and list an app's topics.")
root.add_typer(
    instances.commands, name="instances", help="Look at instances, and give them orders."
)
root.add_typer(timers.commands, name="timers", help="Look at timers, fire and cancel them.")
root.add_typer(dead_letters.commands, name="dead-letters", help="Look at dead letters.")
root.add_typer(schemas.commands, name="schemas", help="Message types and Avro schemas.")
root.add_typer(dev.commands, name="dev", help="For development.")
root.command()(demo.demo)
