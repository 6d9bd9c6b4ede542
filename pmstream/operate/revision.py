"""A folder of schemas as it was: another folder, or the same one at a git revision."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pmstream.errors import ConfigurationError

GIT_TIMEOUT_S = 60.0
"""How long one question to git may take."""

_OF_A_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_COMMON_DIR"}
"""What git tells a hook of its own repository, which need not be the folder's."""


@contextmanager
def folder_at(folder: Path, ref: str) -> Iterator[Path]:
    """Where the schemas to compare with stand, as long as the context lasts.

    Args:
        folder: of the schemas at hand.
        ref: a folder; if there is none of that name, a revision of the git repository that
            `folder` is in.

    Raises:
        ConfigurationError: it is neither, or has no schemas.
    """
    if Path(ref).is_dir():
        yield Path(ref)
        return
    if Path(ref).exists():
        raise ConfigurationError(f"{ref} is a file; give a folder of schemas or a git revision")
    commit = _commit(folder, ref)
    listed = _told(folder, "ls-tree", "-r", "-z", "--name-only", commit).decode()
    names = [name for name in listed.split("\0") if _is_schema(Path(name))]
    if not names:
        raise ConfigurationError(f"{folder} had no .avsc files at {ref}")
    with TemporaryDirectory(prefix="pmstream-") as place:
        (Path(place) / "previous").mkdir()
        for name in names:
            (Path(place) / name).write_bytes(_told(folder, "show", f"{commit}:./{name}"))
        yield Path(place)


def _is_schema(path: Path) -> bool:
    return path.suffix == ".avsc" and path.parent in (Path(), Path("previous"))


def _commit(folder: Path, ref: str) -> str:
    if shutil.which("git") is None:
        raise ConfigurationError(
            f"there is no folder {ref}, and git, which may know it as a revision, is not installed"
        )
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder; only what is there can be compared")
    if ref.startswith("-"):  # git would take it for an option
        raise ConfigurationError(f"{ref!r} is neither a folder nor a git revision")
    found = _git(folder, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    if found.returncode == 0:
        return found.stdout.decode().strip()
    said = " ".join(found.stderr.decode(errors="replace").split())
    why = f" (git: {said})" if said else ""
    raise ConfigurationError(
        f"{ref!r} is neither a folder nor a revision of a git repository that {folder} is in{why}"
    )


def _told(folder: Path, *arguments: str) -> bytes:
    done = _git(folder, *arguments)
    if done.returncode:
        said = " ".join(done.stderr.decode(errors="replace").split())
        raise ConfigurationError(f"git {arguments[0]} failed in {folder}: {said}")
    return done.stdout


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    environment = {name: each for name, each in os.environ.items() if name not in _OF_A_HOOK}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            timeout=GIT_TIMEOUT_S,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"git cannot be asked: {error}") from error
