"""The state directory: whether workers can keep their stores there, and who does already."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, warning

SPACE_OUT_BYTES, SPACE_LOW_BYTES = 256 << 20, 2 << 30
"""Below that a store may not be able to write its next files; below that there is no reserve."""

UNUSABLE = failure(
    "state-unusable",
    "Workers cannot make or write their stores.",
    "set PMSTREAM_STATE_DIR to a directory that this user may write; in a container, mount one",
)
NO_LOCKS = failure(
    "state-no-locks",
    "The file system knows no locks, so two workers of one name would write the same stores.",
    "use a local file system; for NFS, one that is mounted with locks",
)
NEW = note("state-new", "The directory is not there yet; the first worker makes it.")
IN_USE = note("state-in-use", "A worker runs here and holds the lock of its directory.")
SPACE_OUT = failure(
    "space-out",
    "The disk of the state directory is full: a store that cannot be written stops its worker.",
    "free space or enlarge the volume; what is in the state directory of a worker that does not "
    "run may be deleted, it is restored from the changelog",
)
SPACE_LOW = warning(
    "space-low",
    "The disk of the state directory has little space left.",
    "enlarge the volume; a store needs its instances' size about twice while it is compacted",
)


def usable(case: Case) -> Iterator[Finding]:
    """Whether it can be written and locked."""
    folder = case.settings.state_dir
    place = existing(folder)
    if not place.is_dir():
        yield UNUSABLE.found(str(folder), f"{place} is no directory")
        return
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"doctor")
            file.flush()
            locked = _locks(file.fileno())
    except OSError as error:
        yield UNUSABLE.found(str(folder), f"{place} cannot be written: {error.strerror}")
        return
    if locked:
        yield NO_LOCKS.found(str(folder), f"cannot be locked: {locked}")
    if place != folder:
        yield NEW.found(str(folder), "will be made by the first worker")


def owners(case: Case) -> Iterator[Finding]:
    """Who holds the directories of which workers."""
    folder = case.settings.state_dir / case.app.name
    for lock in sorted(folder.glob("*/*/LOCK")):
        holder = _holder(lock)
        if holder:
            yield IN_USE.found(str(lock.parent), f"is held by process {holder}")


def space(case: Case) -> Iterator[Finding]:
    """How much of it is free."""
    place = existing(case.settings.state_dir)
    yield from judge_space(shutil.disk_usage(place).free, str(case.settings.state_dir))


def judge_space(free: int, where: str) -> Iterator[Finding]:
    """Whether so many free bytes do."""
    if free < SPACE_LOW_BYTES:
        kind = SPACE_OUT if free < SPACE_OUT_BYTES else SPACE_LOW
        yield kind.found(where, f"{free >> 20} MiB are free")


def existing(folder: Path) -> Path:
    """The folder, or what of the way to it is there already."""
    place = folder.absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return folder if place == folder.absolute() else place


def _locks(descriptor: int) -> str:
    """Why a file cannot be locked; "" if it can."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _holder(lock: Path) -> str:
    """The process that holds it; "" if nobody does."""
    descriptor = os.open(lock, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return os.read(descriptor, 20).decode(errors="replace").strip() or "unknown"
    finally:
        os.close(descriptor)
    return ""
