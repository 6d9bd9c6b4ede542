"""What SIGKILL leaves behind, in a test's own process."""

import shutil
from contextlib import suppress
from pathlib import Path

from pmstream.runtime.store import Store


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it, nothing is tidied up."""


def leave_as_killed(store: Store) -> None:
    """Closes a store so that its files are what a kill at this moment leaves behind."""
    path = store.path
    copy = path.with_name(path.name + ".killed")
    while not _copied(path, copy):
        shutil.rmtree(copy, ignore_errors=True)
    store.close()
    shutil.rmtree(path)
    copy.rename(path)


def _copied(path: Path, copy: Path) -> bool:
    """Whether the copy is of one moment: RocksDB may compact behind our back."""
    before = _files(path)
    try:
        shutil.copytree(path, copy)
    except shutil.Error:
        return False
    return _files(path) == before


def _files(path: Path) -> list[tuple[str, int]]:
    found = []
    for each in path.iterdir():
        with suppress(FileNotFoundError):  # compacted away this very moment
            found.append((each.name, each.stat().st_size))
    return sorted(found)
