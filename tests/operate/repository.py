"""A git repository with a folder of schemas, for tests."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.runtime import zoo


class Repository:
    """A new repository whose folder `shop/avro` holds schemas."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / "shop" / "avro"
        root.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def write(self, *schemas: Any, **previous: Any) -> None:
        """Makes the folder hold these schemas, those by name in `previous/`, and no others."""
        for path in self.folder.rglob("*.avsc"):
            path.unlink()
        today = {each["name"]: each for each in schemas}
        keys: Mapping[str, Any] = {f"previous/{name}": each for name, each in previous.items()}
        zoo.write(self.folder, {**today, **keys})

    def commit(self, tag: str) -> None:
        """Commits all there is, under a tag."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", tag)
        self.git("tag", tag)

    def git(self, *arguments: str) -> None:
        who = {f"GIT_{role}_{what}": "tests" for role in ("AUTHOR", "COMMITTER") for what in NAMES}
        environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, **who}
        subprocess.run(["git", "-C", str(self.root), *arguments], check=True, env=environment)


NAMES = ("NAME", "EMAIL")
