"""`pmstream schemas`: message types from Avro schemas, and whether the two agree."""

from pathlib import Path
from typing import Annotated

import typer

from pmstream.cli import exits
from pmstream.cli.loading import load_app, load_module
from pmstream.config import Settings
from pmstream.errors import ConfigurationError

commands = typer.Typer(no_args_is_help=True)


@commands.command()
def generate(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Of .avsc files.", exists=True, file_okay=False),
    ],
    out: Annotated[
        Path, typer.Argument(metavar="FILE", help="Python file to write.", dir_okay=False)
    ],
    namespace: Annotated[
        str | None, typer.Option(help="Only this Avro namespace.", show_default="all")
    ] = None,
    check_only: Annotated[
        bool, typer.Option("--check", help="Write nothing; show the difference, exit code 1.")
    ] = False,
) -> None:
    """Writes message types from Avro schemas.

    Example: pmstream schemas generate bank/avro bank/messages.py
    """
    from pmstream.operate import schemas

    if check_only:
        difference = schemas.difference(folder, out, namespace)
        if difference:
            print(difference)
            raise typer.Exit(exits.FOUND)
        print(f"{out} is in step with {folder}")
        return
    try:
        written = schemas.generate(folder, out, namespace)
    except OSError as error:
        raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from error
    print(f"{out}: {'written' if written else 'in step already'}")


@commands.command()
def check(
    app: Annotated[
        str,
        typer.Argument(
            metavar="APP",
            help="module:attribute of an App, or a module of message types.",
            show_default=False,
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option(help="The schemas of a module; an app knows its own.", file_okay=False),
    ] = None,
) -> None:
    """Holds message types to their schemas; exit code 1 if they disagree.

    Example: pmstream schemas check bank.payments:app
    """
    from pmstream.operate import schemas

    is_app = ":" in app
    faults = schemas.check(load_app(app, Settings.load()) if is_app else load_module(app), folder)
    for fault in faults:
        exits.tell(fault)
    if faults:
        raise typer.Exit(exits.FOUND)
    print(f"types and schemas of {app} agree")
