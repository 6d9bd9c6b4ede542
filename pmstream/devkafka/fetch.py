"""Brings jars from Maven repositories, by tools that know where these are.

Rule: no downloader and no address of our own, so mirrors and certificates are those of the tools.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path


class Unfetched(Exception):
    """A source has not brought all jars; the text tells why."""


Source = Callable[[Mapping[str, str], Path, Callable[[str], None]], None]
"""Brings coordinates, each with its file's name, into a folder; calls back with each name."""

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
<modelVersion>4.0.0</modelVersion>
<groupId>pmstream</groupId><artifactId>devkafka</artifactId><version>1</version>
<dependencies>
{dependencies}
</dependencies>
</project>
"""
_DEPENDENCY = (
    "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>"
    "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    "</dependency>"
)


def by_mvn(jars: Mapping[str, str], into: Path, came: Callable[[str], None]) -> None:
    """Apache Maven: knows the user's mirrors and keeps what it brought."""
    mvn = shutil.which("mvn")
    if mvn is None:
        raise Unfetched("mvn is not on PATH")
    dependencies = "\n".join(_DEPENDENCY.format(*each.split(":")) for each in jars)
    pom = into / "pom.xml"
    pom.write_text(_POM.format(dependencies=dependencies))
    # Batch mode without its progress bars, but with a line for each file.
    command = [
        mvn,
        "-B",
        "-f",
        str(pom),
        "dependency:copy-dependencies",
        f"-DoutputDirectory={into}",
    ]
    errors = []
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        for raw in process.stdout:
            line = raw.decode(errors="replace").strip()
            if line.startswith("[ERROR]"):
                errors.append(line.removeprefix("[ERROR]").strip())
            for word in line.split() if ".jar" in line and "ownloading" not in line else ():
                came(os.path.basename(word))  # noqa: PTH119 - a word of a line, often no path
    if process.returncode:
        raise Unfetched(f"mvn failed: {errors[0] if errors else f'exit {process.returncode}'}")


def by_jgo(jars: Mapping[str, str], into: Path, came: Callable[[str], None]) -> None:
    """PyPI's jgo: needs neither mvn nor Java."""
    try:
        from jgo.maven import MavenContext, PythonResolver
    except ImportError:
        raise Unfetched("PyPI's jgo is not installed") from None
    # Not the user's repository: jgo takes what lies there, corrupt or not.
    with tempfile.TemporaryDirectory(dir=into) as repository:
        context = MavenContext(resolver=PythonResolver(), repo_cache=Path(repository))
        for coordinate, name in jars.items():
            group, artifact, version = coordinate.split(":")
            component = context.project(group, artifact).at_version(version)
            try:
                component.artifact().resolve().replace(into / name)
            except Exception as error:  # it lets pass what requests and the parsers raise
                raise Unfetched(f"jgo failed at {name}: {error}") from error
            came(name)


SOURCES: tuple[Source, ...] = (by_mvn, by_jgo)
"""In this order."""
