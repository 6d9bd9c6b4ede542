"""The guard ends what it runs, whatever way its parent goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pmstream.devkafka import guard

PARENT = """
import os, subprocess, sys, time
guard, doomed, forks = sys.argv[1:]
command = [sys.executable, "-I", "-S", guard, str(os.getpid()), doomed, "sleep", "600"]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
if forks == "forks" and os.fork() == 0:
    time.sleep(600)  # holds the pipe's end, too
print(child.stdout.readline().decode(), flush=True)
time.sleep(600)
"""


@pytest.fixture
def parent(request: pytest.FixtureRequest) -> Iterator["subprocess.Popen[bytes]"]:
    folder = request.getfixturevalue("tmp_path") / "doomed"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, guard.__file__, str(folder), request.param],
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    yield process
    os.killpg(process.pid, signal.SIGKILL)  # the fork that is left
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def soon(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 90
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


@pytest.mark.parametrize("parent", ["plain", "forks"], indirect=True)
def test_a_killed_parent_leaves_nothing(parent: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_there(pid)

    parent.kill()

    assert soon(lambda: not is_there(pid))
    assert soon(lambda: not (tmp_path / "doomed").exists())


@pytest.mark.parametrize(
    ("script", "code"), [("exit 7", 7), ("kill -KILL $$", 128 + signal.SIGKILL)]
)
def test_a_program_that_ends_by_itself_tells_its_code_and_leaves_its_folder(
    script: str, code: int, tmp_path: Path
) -> None:
    command = [sys.executable, guard.__file__, str(os.getpid()), str(tmp_path), "sh", "-c", script]

    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.wait() == code

    assert tmp_path.exists()
