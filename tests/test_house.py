"""House rules that no linter knows: sizes, docstrings, doors, and what may stand in the tree."""

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import pmstream

ROOT = Path(__file__).parent.parent
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 300
IO_PACKAGES = {
    "confluent_kafka",
    "fastavro",
    "opentelemetry",
    "prometheus_client",
    "pydantic",
    "pydantic_settings",
    "rich",
    "rocksdict",
    "rule_engine",
    "typer",
}
FOREIGN_NAMES = {
    "a registry host": r"pypi\.org|pythonhosted\.|repo1?\.maven|maven\.org|npmjs\.|crates\.io"
    r"|proxy\.golang|deb\.debian",
    "a path of one machine": r"(?<![\w.$}-])/(home|root|Users|work|opt/wheels)/\w",
}


def tracked() -> list[Path]:
    """Every file git knows and the tree has (a symlink is its target's business)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", sources("pmstream", "tests", "bench"), ids=name_of)
def test_a_file_and_its_functions_fit_in_a_head(path: Path) -> None:
    long = [
        f"{path.name}:{function.lineno} {function.name} has {length} lines"
        for function in functions(path)
        if (length := (function.end_lineno or 0) - function.lineno + 1) > MAX_FUNCTION_LINES
    ]

    lines = len(path.read_text().splitlines())

    assert not long
    assert lines <= MAX_FILE_LINES


@pytest.mark.parametrize(
    "path",
    [path for path in sources("pmstream", "tests", "bench") if path.stat().st_size],
    ids=name_of,
)
def test_a_module_opens_with_its_duty(path: Path) -> None:
    duty = ast.get_docstring(ast.parse(path.read_text()))

    assert duty, "a module opens with its duty in one sentence"
    assert duty.split("\n\n")[0].rstrip().endswith((".", ":")), "the duty is a sentence"


@pytest.mark.parametrize("name", sorted(pmstream.__all__))
def test_a_public_name_is_explained(name: str) -> None:
    thing = getattr(pmstream, name)

    assert thing.__doc__, f"pmstream.{name} has no docstring"
    if inspect.isclass(thing):
        bare = [
            member
            for member, value in vars(thing).items()
            if inspect.isfunction(value) and not member.startswith("_") and not value.__doc__
        ]
        assert not bare, f"methods of pmstream.{name} without a docstring"


def pure_modules() -> list[str]:
    core = sorted((ROOT / "pmstream" / "core").glob("*.py"))
    return ["pmstream", *(f"pmstream.core.{path.stem}" for path in core if path.stem[0] != "_")]


def test_importing_the_language_loads_no_io_package() -> None:
    script = f"import json, sys, {', '.join(pure_modules())}; print(json.dumps(list(sys.modules)))"

    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert IO_PACKAGES.isdisjoint(json.loads(loaded.stdout))


@pytest.mark.parametrize("what", FOREIGN_NAMES)
def test_the_tree_names_no_foreign_place(what: str) -> None:
    pattern = re.compile(FOREIGN_NAMES[what])

    found = [
        f"{name_of(path)}:{number} {line.strip()[:80]}"
        for path in tracked()
        for number, line in enumerate(path.read_bytes().decode(errors="replace").split("\n"), 1)
        if pattern.search(line)
    ]

    assert not found, f"{what} in the tree"


def test_the_wheel_carries_every_file_of_the_package(tmp_path: Path) -> None:
    # Source distribution first, then the wheel from it: a file missing in either is missing here.
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(build, capture_output=True, check=True)

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        carried = set(wheel.namelist())
    expected = {
        name_of(Path(folder, name))
        for folder, _, names in os.walk(ROOT / "pmstream", followlinks=True)
        for name in names
        if not folder.endswith("__pycache__")
    }
    assert expected - carried == set()


def test_the_entry_stays_readable() -> None:
    assert len((ROOT / "dev").read_text().splitlines()) <= MAX_FUNCTION_LINES


def test_ci_runs_what_the_readme_says() -> None:
    command = "./dev test"

    assert re.search(rf"^ +{command}\b", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith(command)
