"""A page read as a script: its files are written, its commands are run, in the order of the page.

A code block that begins with the name of a file in a comment is that file; with `, this line
instead` behind it, it is one line of a file that is there. In a `console` block each `$ ` begins a
command; what follows must appear in its output, `...` stands for anything. `# exit code 1` behind a
command says so. Blocks in `sh` are for readers only.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

DEADLINE_SECONDS = 180
"""How long a command, and what it is to show, may take on a busy machine."""

INSTEAD = ", this line instead"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"(?:#|//) ([\w./-]+\.(?:py|avsc|toml)(?:, this line instead)?)$")
_CODE = re.compile(r"# exit code (\d+)")
_PROGRAMS = {"pmstream": ["-m", "pmstream"], "pytest": ["-m", "pytest", "-p", "no:cacheprovider"]}


class File(NamedTuple):
    """A file to write, or a line of one to replace."""

    name: str
    text: str


class Command(NamedTuple):
    """A command, what it must show, and the exit code it must end with."""

    words: list[str]
    shows: list[str]
    code: int

    @property
    def stays(self) -> bool:
        """Whether it runs until it is ended."""
        return self.words[:2] == ["pmstream", "run"]

    @property
    def is_given(self) -> bool:
        """Whether the test has it already: a Kafka."""
        return self.words[:3] == ["pmstream", "dev", "kafka"]

    @property
    def only_looks(self) -> bool:
        """Whether it may be run again until it shows what it must."""
        return "--yes" not in self.words and self.words[1] != "produce"


def blocks(page: Path, language: str) -> list[str]:
    """Its code blocks in one language."""
    return [text for each, text in _BLOCK.findall(page.read_text()) if each == language]


def script(page: Path) -> Iterator[File | Command]:
    """What a page tells its reader to write and to type."""
    for language, text in _BLOCK.findall(page.read_text()):
        first, _, rest = text.partition("\n")
        if language == "console":
            yield from _commands(text)
        elif language != "sh" and (named := _FILE.match(first)):
            yield File(named[1], rest)


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        line, *shown = part.splitlines()
        code = _CODE.search(line)
        words = shlex.split(line, comments=True)
        yield Command(words, [each for each in shown if each.strip()], int(code[1]) if code else 0)


class Reader:
    """Somebody who does what a page says, in an empty folder.

    Args:
        folder: where.
        bootstrap_servers: of the Kafka that the page lets its reader start.
    """

    def __init__(self, folder: Path, bootstrap_servers: str) -> None:
        self.folder, self._running = folder, list[subprocess.Popen[bytes]]()
        self.outputs: list[str] = []
        self.environment = {
            **os.environ,
            "PMSTREAM_BOOTSTRAP_SERVERS": bootstrap_servers,
            "PMSTREAM_STATE_DIR": str(folder / "state"),
            "PMSTREAM_INBOX_PARTITIONS": "2",
            "PMSTREAM_HEALTH_PORT": "0",
            "COLUMNS": "400",
        }

    def follow(self, page: Path) -> None:
        """Writes and types all of it."""
        for each in script(page):
            if isinstance(each, File):
                self.write(each)
            elif each.stays:
                self.end()
                self._running.append(self._start(each.words))
            elif not each.is_given:
                self.outputs.append(self._type(each))

    def write(self, file: File) -> None:
        """Writes a file, or one line of it."""
        name, _, instead = file.name.partition(INSTEAD[0])
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_replaced(path.read_text(), file.text) if instead else file.text)

    def end(self) -> None:
        """Ctrl-C in every terminal that is busy."""
        while self._running:
            child = self._running.pop()
            child.terminate()
            child.wait(DEADLINE_SECONDS)

    def _type(self, command: Command) -> str:
        """Types a command; one that only looks again and again, until it shows what it must."""
        until = time.monotonic() + DEADLINE_SECONDS
        while True:
            done = subprocess.run(
                self._program(command.words),
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=DEADLINE_SECONDS,
                check=False,
            )
            said = done.stdout + done.stderr
            missing = [each for each in command.shows if not _is_shown(each, said)]
            if done.returncode == command.code and not missing:
                return said
            late = not command.only_looks or time.monotonic() > until
            assert not late, (
                f"{shlex.join(command.words)} ended with {done.returncode}, not {command.code}; "
                f"what it does not show: {missing}; it says:\n{said}"
            )

    def _start(self, words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._program(words), cwd=self.folder, env=self.environment)

    def _program(self, words: list[str]) -> list[str]:
        return [sys.executable, *_PROGRAMS[words[0]], *words[1:]]


@contextmanager
def reader(folder: Path, bootstrap_servers: str) -> Iterator[Reader]:
    """A reader who leaves nothing running."""
    who = Reader(folder, bootstrap_servers)
    try:
        yield who
    finally:
        who.end()


def _replaced(text: str, line: str) -> str:
    """The text with a line in the place of the one that begins alike, up to its `=`."""
    head = line.partition("=")[0]
    old = [each for each in text.splitlines(keepends=True) if each.startswith(head)]
    assert len(old) == 1, f"{head!r} begins {len(old)} lines"
    return text.replace(old[0], line)


def _is_shown(line: str, said: str) -> bool:
    parts = [r"\s+".join(map(re.escape, each.split())) for each in line.split("...")]
    return re.search(r".*".join(parts), said) is not None
