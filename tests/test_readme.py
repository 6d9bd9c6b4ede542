"""The README's snippets, run as they stand there."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Protocol

import pytest

from tests.book.script import File, reader, script

README = Path(__file__).parent.parent / "README.md"


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


def test_the_first_process_manager_is_whole(tmp_path: Path) -> None:
    (source,) = [
        each.text
        for each in script(README)
        if isinstance(each, File) and each.name == "transfer.py"
    ]
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
@pytest.mark.slow
def test_write_your_own(tmp_path: Path, kafka: Cluster) -> None:
    """Every command in its order; those that stay in a terminal run beside the others."""
    with reader(tmp_path, kafka.bootstrap_servers) as newcomer:
        newcomer.follow(README)

        assert "Elm 5" in newcomer.outputs[-2]
        assert "o-1" in newcomer.outputs[-1]


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
