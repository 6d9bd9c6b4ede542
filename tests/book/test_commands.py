"""Whatever a page tells its reader to type exists: commands, options, recipes, settings."""

import inspect
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.core import TyperGroup

from pmstream.cli.root import root
from pmstream.config import NOT_SETTINGS, Settings
from pmstream.operate import findings
from tests.book.cluster import EXITS
from tests.book.pages import DOCS
from tests.book.script import Command, script
from tests.deployment.tools import ROOT

PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
ON_ITS_OWN_LINE = re.compile(r"^ *(?:\$ )?(?:[A-Z_]+=\S* )*(pmstream [^#\n`]*)", re.MULTILINE)
WITHIN_A_LINE = re.compile(r"`(?:\w+=\S* )*(pmstream [^`\n]*)`")
RECIPE = re.compile(r"(?:`|^ *(?:\$ )?)(?:\./dev|just) ([a-z-]+)", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```|((?:^    .*\n)+)", re.MULTILINE | re.DOTALL)
ANYTHING = re.compile(r"\.\.\.|…|\\\|.*|[\[\]]")
VARIABLE = re.compile(r"\bPMSTREAM_[A-Z]+(?:_[A-Z]+)*\b")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def typed(page: str) -> Iterator[str]:
    """Commands in blocks of code, then those within sentences."""
    for language, fenced, indented in FENCE.findall(page):
        if language != "text":
            yield from ON_ITS_OWN_LINE.findall(fenced or indented)
    yield from WITHIN_A_LINE.findall(page)


def fault(line: str) -> str:
    """What the command line would not take; values that are left out are none."""
    words = [word for each in shlex.split(line)[1:] if (word := ANYTHING.sub("", each))]
    command, path = typer.main.get_command(root), ["pmstream"]
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        known = command.commands.get(words[0].partition("|")[0])
        if known is None:
            return f"{' '.join(path)} has no command {words[0]}"
        command, path = known, [*path, words.pop(0)]
    options = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    unknown = [each for each in words if each.startswith("-") and each not in options]
    unknown = [each for each in unknown if each not in {"-", "--help"}]
    return f"{' '.join(path)} has no option {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_command_and_option_exists(path: Path) -> None:
    faults = [f"{line}: {told}" for line in typed(path.read_text()) if (told := fault(line))]

    assert faults == []


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_recipe_exists(path: Path) -> None:
    recipes = re.findall(
        r"^@?([a-z-]+)[^\n:]*:(?!=)", (ROOT / "Justfile").read_text(), re.MULTILINE
    )

    assert set(RECIPE.findall(path.read_text())) <= set(recipes)


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_variable_is_read_by_something(path: Path) -> None:
    known = {f"PMSTREAM_{name.upper()}" for name in Settings.model_fields} | NOT_SETTINGS
    found = set(VARIABLE.findall(path.read_text()))
    tests = {each for each in found if each.startswith("PMSTREAM_TEST_")}

    assert found - tests - known - {"PMSTREAM_X"} == set()


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_every_exit_code_is_one(path: Path) -> None:
    commands = [each for each in script(path) if isinstance(each, Command)]

    assert {each.code for each in commands} <= EXITS.keys()


def test_status_says_what_the_page_for_operators_says_it_says() -> None:
    page = (DOCS / "operating.md").read_text()
    table = page.partition("| status says |")[2].partition("\n\n")[0]
    said = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)

    assert len(said) >= 8
    assert [each for each in said if each not in inspect.getsource(findings)] == []


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("pmstream instances list APP PM --condition parked", ""),
        ("pmstream timers fire|cancel APP PM", ""),
        ("pmstream instances lst APP", "pmstream instances has no command lst"),
        ("pmstream status APP --quick", "pmstream status has no option --quick"),
    ],
)
def test_what_does_not_exist_is_found(line: str, told: str) -> None:
    assert fault(line) == told
