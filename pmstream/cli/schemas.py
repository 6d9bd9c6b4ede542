"""`pmstream schemas`: message types from Avro schemas, whether the two agree, what changed."""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import msgspec
import typer

from pmstream.app import App
from pmstream.cli import exits
from pmstream.cli.loading import load_app, load_module
from pmstream.cli.output import Output, OutputOption, print_json, show
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
        str | None,
        typer.Argument(
            metavar="APP",
            help="module:attribute of an App, or a module of message types.",
            show_default="the schemas alone",
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="The schemas of a module; an app knows its own.", file_okay=False),
    ] = None,
    ref: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="REF",
            help="Also name each incompatible change since then: another folder of schemas, or "
            "this one at a git revision.",
        ),
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Holds message types to their schemas, schemas to their past; exit code 1 if they differ.

    A change breaks backward if readers of today fail at records of then,
    forward if readers of then fail at records of today,
    previous if the schema of then is not kept in previous/.

    Example: pmstream schemas check bank.payments:app --against main

    Example: pmstream schemas check --folder bank/avro --against v1.2.0 -o json
    """
    from pmstream.operate import against, schemas

    target = _target(app)
    place = target.schemas if isinstance(target, App) else folder
    faults = schemas.check(target, folder)
    found = against.against(place, ref) if ref is not None and place is not None else []
    rows = [msgspec.to_builtins(each) for each in found]
    if output is Output.JSON:
        types = {"message": None, "field": None, "breaks": "types"}
        print_json([*(types | {"change": each} for each in faults), *rows])
    else:
        for fault in faults:
            exits.tell(fault)
        show(rows, output)
    if faults or rows:
        raise typer.Exit(exits.FOUND)
    if output is Output.TABLE:
        print(f"types and schemas of {app} agree" if app else f"the schemas in {folder} are whole")
        if ref is not None:
            print(f"every change since {ref} is compatible")


def _target(name: str | None) -> App | ModuleType | None:
    if name is None:
        return None
    return load_app(name, Settings.load()) if ":" in name else load_module(name)
