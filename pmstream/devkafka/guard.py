"""Runs one JVM, and ends it when the process that asked for it is gone, however it went.

Started by path, isolated: it imports nothing of pmstream, so it runs in a few milliseconds.
Arguments: the parent's pid, a folder to remove with an orphan ("" for none), the command.
Standard output gets the JVM's pid; standard input is a pipe that only its end ever comes through.
"""

import os
import select
import shutil
import signal
import subprocess
import sys
from types import FrameType


def main(parent: int, doomed: str, command: list[str]) -> int:
    """Waits for the JVM's end, or brings it about.

    Returns:
        The JVM's exit code; negative: the signal that ended it.
    """
    # No SIG_IGN here: a JVM that inherits it takes no SIGTERM.
    signal.signal(signal.SIGTERM, _leave)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    jvm = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, stderr=2)
    orphan = True
    try:
        sys.stdout.write(f"{jvm.pid}\n")
        sys.stdout.flush()
        orphan = _is_orphan_first(jvm, parent, woken)
    finally:
        jvm.kill()
        code = jvm.wait()
        if orphan and doomed:
            shutil.rmtree(doomed, ignore_errors=True)
    return code


def _is_orphan_first(jvm: "subprocess.Popen[bytes]", parent: int, woken: int) -> bool:
    """Waits until the JVM ends (False) or its parent is gone (True)."""
    while jvm.poll() is None:
        # The pipe tells at once. If the parent forked, a child holds the pipe too: so ask as well.
        ready, _, _ = select.select([0, woken], [], [], 1.0)
        if 0 in ready or os.getppid() != parent:
            return True
        if woken in ready:
            os.read(woken, 64)
    return False


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    ended = main(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
    sys.exit(ended if ended >= 0 else 128 - ended)
