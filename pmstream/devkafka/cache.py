"""Where the embedded Kafka keeps what is made once: jars, a formatted folder, class archives.

Rule: whatever is in the cache got there by a rename, so nobody ever reads half of it.
"""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pmstream.devkafka.errors import DevKafkaError

VERSION = "4.3.1"
"""Of Apache Kafka."""


def folder() -> Path:
    """The cache of this Kafka version, made if missing.

    `PMSTREAM_CACHE`, else `pmstream` in the user's cache folder (XDG Base Directory).

    Raises:
        DevKafkaError: the folder cannot be written.
    """
    named = os.environ.get("PMSTREAM_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = (Path(named) if named else Path(home, "pmstream")).absolute() / f"kafka-{VERSION}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            return cache
    except OSError as error:
        raise DevKafkaError(
            f"the cache folder {cache} cannot be written ({error.strerror}): name another one by "
            "PMSTREAM_CACHE"
        ) from error


@contextmanager
def locked(cache: Path) -> Iterator[None]:
    """Holds the cache for one process; the kernel lets go of it when that process dies."""
    with (cache / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def workshop(cache: Path) -> Iterator[Path]:
    """A temporary folder on the cache's own file system, so that a rename out of it is atomic."""
    with tempfile.TemporaryDirectory(prefix="making-", dir=cache) as made:
        yield Path(made)
