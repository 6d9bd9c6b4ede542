"""How reports are shown: a table for people, JSON for programs."""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn
from rich.table import Table

T = TypeVar("T")


class Output(StrEnum):
    """What `-o` may be."""

    TABLE = "table"
    JSON = "json"


OutputOption = Annotated[
    Output, typer.Option("--output", "-o", help="How to show it.", show_default=True)
]


def show(rows: Sequence[dict[str, Any]], output: Output) -> None:
    """Shows rows of the same fields."""
    if output is Output.JSON:
        print_json(list(rows))
        return
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in rows[0]:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    console().print(table, soft_wrap=not console().is_terminal)


def print_json(value: Any) -> None:
    """One line of JSON, at once."""
    print(json.dumps(value, default=str), flush=True)


def counted(things: Iterable[T], what: str) -> Iterator[T]:
    """The same things, their number shown meanwhile on a terminal's standard error."""
    shown = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.completed} {task.description}"))
    with Progress(*columns, console=shown, transient=True, disable=not shown.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        for thing in things:
            yield thing
            bar.advance(task)


@contextmanager
def working(what: str) -> Iterator[None]:
    """Tells on a terminal's standard error what takes long."""
    shown = Console(stderr=True)
    if not shown.is_terminal:
        yield
        return
    with shown.status(what):
        yield


def console() -> Console:
    """Standard output; as wide as needed when it is no terminal."""
    found = Console(highlight=False, markup=False, emoji=False)
    return (
        found
        if found.is_terminal
        else Console(highlight=False, markup=False, emoji=False, width=240)
    )


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str)
