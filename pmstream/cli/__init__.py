"""The command line: one file a noun; this one puts them together."""

from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from pmstream import __version__
from pmstream.cli import instances, messages, run, topics
from pmstream.cli.exits import Group

_app = typer.Typer(
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


@_app.callback()
def _root(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Process managers (sagas) on Apache Kafka, exactly once.

    Settings come from the environment (PMSTREAM_BOOTSTRAP_SERVERS ...), pmstream.toml, or secret
    files. Exit codes: 0 done, 1 found something wrong, 2 usage or configuration,
    69 Kafka unreachable, 70 a process manager stopped, 75 try again.
    """


_app.command()(run.run)
_app.command(hidden=True)(run.worker)
_app.command()(messages.produce)
_app.command()(messages.consume)
_app.add_typer(topics.commands, name="topics", help="Make, check and list an app's topics.")
_app.add_typer(instances.commands, name="instances", help="Look at instances.")
if find_spec("pmstream.cli.demo") is not None:
    _app.command()(import_module("pmstream.cli.demo").demo)


def main() -> None:
    """Runs the command line of this process."""
    _app()
