"""A worker's state directory: one process holds it; partitions that are gone leave it."""

import fcntl
import os
import shutil
import time
from pathlib import Path
from typing import IO

from pmstream.errors import Busy, ConfigurationError


def remove_beyond(directory: Path, partitions: int) -> list[int]:
    """Removes stores of partitions that are no more; answers which.

    Args:
        directory: of a worker that is not running yet.
        partitions: how many there are.
    """
    found = [each for each in directory.glob("*") if each.is_dir() and each.name.isdecimal()]
    gone = sorted(int(each.name) for each in found if int(each.name) >= partitions)
    for number in gone:
        shutil.rmtree(directory / str(number), ignore_errors=True)
    return gone


def lock_directory(path: Path, timeout: float) -> IO[str]:
    """Holds a worker's state directory for this process; freed when the file is closed.

    Args:
        path: the directory; made when missing.
        timeout: how long to wait for a predecessor that is still going, seconds.

    Raises:
        Busy: another process still holds it after `timeout`.
        ConfigurationError: it cannot be made or written.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock = (path / "LOCK").open("a+")
    except OSError as error:
        raise ConfigurationError(
            f"state directory {path} cannot be used: {error.strerror}; set PMSTREAM_STATE_DIR "
            "to a writable directory"
        ) from error
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            lock.close()
            raise Busy(
                f"state directory {path} is held by process {holder}; stop that one, or give "
                "this worker another name"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        return lock
