"""The README's snippets, run as they stand there."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

README = Path(__file__).parent.parent / "README.md"
PMSTREAM = [sys.executable, "-m", "pmstream"]
DEADLINE_SECONDS = 180


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def files() -> dict[str, str]:
    """Snippets that begin with the name of their file."""
    found: dict[str, str] = {}
    for block in blocks("python") + blocks("json"):
        first, _, rest = block.partition("\n")
        found[first.strip("#/ ")] = rest
    return found


def commands() -> list[list[str]]:
    (block,) = blocks("console")
    lines = [line.removeprefix("$ ") for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines]


def run(folder: Path, environment: dict[str, str], words: list[str]) -> str:
    done = subprocess.run(
        [*PMSTREAM, *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@contextmanager
def running(folder: Path, environment: dict[str, str], words: list[str]) -> Iterator[None]:
    child = subprocess.Popen([*PMSTREAM, *words[1:]], cwd=folder, env=environment)
    try:
        yield
    finally:
        child.terminate()
        child.wait(DEADLINE_SECONDS)


def test_the_first_process_manager_is_whole(tmp_path: Path) -> None:
    source = files()["transfer.py"]
    assert len(source.splitlines()) <= 45
    (tmp_path / "transfer.py").write_text(source)
    avro = README.parent / "avro"
    (tmp_path / "avro").symlink_to(avro)
    code = "import transfer; print(*transfer.app.process_managers)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "transfer-money"


@pytest.mark.kafka
def test_write_your_own(tmp_path: Path, kafka: Cluster) -> None:
    """Every command in its order; those that stay in a terminal run beside the others."""
    written = files()
    (tmp_path / "avro").mkdir()
    for name, text in written.items():
        if name != "transfer.py":
            (tmp_path / name).write_text(text)
    environment = {
        **os.environ,
        "PMSTREAM_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "PMSTREAM_STATE_DIR": str(tmp_path / "state"),
        "PMSTREAM_INBOX_PARTITIONS": "2",
        "PMSTREAM_HEALTH_PORT": "0",
    }
    todo = [words for words in commands() if words[1:3] != ["dev", "kafka"]]
    before = [words for words in todo if words[1] in ("schemas", "topics")]
    (worker,) = [words for words in todo if words[1] == "run"]
    after = [words for words in todo if words not in before and words != worker]
    for words in before:
        run(tmp_path, environment, words)
    with running(tmp_path, environment, worker):
        outputs = [run(tmp_path, environment, words) for words in after]
        assert "Elm 5" in outputs[-2]
        assert "o-1" in outputs[-1]
        listed = run(tmp_path, environment, [*after[-1], "-o", "json"])
        assert json.loads(listed)[0]["uuid"] == "o-1"


def test_every_dev_command_is_a_recipe_that_takes_its_arguments() -> None:
    found = re.findall(r"(?:^    |`)\./dev ([^`#\n]+)", README.read_text(), re.MULTILINE)
    assert [each.split()[0] for each in found][:2] == ["demo", "test"]
    for each in found:
        words = ["just", "--dry-run", *shlex.split(each)]
        done = subprocess.run(words, cwd=README.parent, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_every_file_that_is_named_is_there() -> None:
    for link in re.findall(r"\]\(([^)]+)\)", README.read_text()):
        assert (README.parent / link).exists(), link
