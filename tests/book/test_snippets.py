"""The snippets of the pages run as they stand there; and what the pages tell of pytest holds."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.book.pages import DOCS
from tests.book.script import blocks

TESTS = {"testing.md": 4, "quick-start.md": 1, "commanded.md": 1}
"""Pages whose snippets are together a file of tests, and how many those are."""

SCRIPTS = {"tutorial.md"}
"""Pages that are run as a whole, by a test of their own."""


@pytest.mark.parametrize("name", TESTS)
def test_the_snippets_of_a_page_are_tests_that_pass(tmp_path: Path, name: str) -> None:
    snippets = blocks(DOCS / name, "python")
    (tmp_path / "test_page.py").write_text("\n\n".join(snippets))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]

    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout
    assert f"{TESTS[name]} passed" in done.stdout


def test_no_page_has_code_that_nothing_runs() -> None:
    with_code = {each.name for each in DOCS.rglob("*.md") if blocks(each, "python")}

    assert with_code == TESTS.keys() | SCRIPTS


def test_what_is_json_or_toml_can_be_read() -> None:
    for page in DOCS.rglob("*.md"):
        for text in blocks(page, "json"):
            json.loads(text)
        for text in blocks(page, "toml"):
            tomllib.loads(text)


def test_the_plugin_loads_nothing_heavy() -> None:
    code = "import pmstream.pytest_plugin, sys; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    loaded = set(done.stdout.split())
    assert not loaded & {"confluent_kafka", "fastavro", "rocksdict", "pmstream.testing"}
