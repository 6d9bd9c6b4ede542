"""Options that several commands share: typer sees each of them, the command gets them together."""

from typing import Annotated

import typer
from msgspec import Struct
from typer.testing import CliRunner

from pmstream.cli.spread import spread


class Manners(Struct, frozen=True, kw_only=True):
    """Shared options."""

    loud: Annotated[bool, typer.Option("--loud", help="With a shout.")] = False
    times: Annotated[int, typer.Option("--times", min=1, help="So often.")] = 1


def made(told: list[object]) -> typer.Typer:
    command = typer.Typer()

    @command.command()
    @spread
    def greet(name: str, *, manners: Manners, last: str = "") -> None:
        """Greets."""
        told.extend([name, manners, last])

    return command


def test_a_command_gets_its_options_together() -> None:
    told: list[object] = []

    result = CliRunner().invoke(made(told), ["you", "--times", "3", "--last", "bye"])

    assert result.exit_code == 0, result.output
    assert told == ["you", Manners(times=3), "bye"]


def test_each_option_is_shown_and_checked() -> None:
    shown = CliRunner().invoke(made([]), ["--help"], env={"COLUMNS": "200"}).output
    refused = CliRunner().invoke(made([]), ["you", "--times", "0"])

    assert shown.index("--loud") < shown.index("--times") < shown.index("--last")
    assert "Greets." in shown
    assert refused.exit_code == 2
