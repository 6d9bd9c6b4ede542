"""What peers need on this machine, made once and kept in a cache: environments, jars, classes.

Each is pinned. What cannot be made here (no Maven, no JDK) leaves its peer out, with a sentence.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

HOME = Path(os.environ.get("BENCH_HOME", Path(tempfile.gettempdir()) / "pmstream-bench"))
QUIX = "quixstreams[avro]==3.28.1"
PEERS = Path(__file__).parent / "peers"


class Missing(Exception):
    """A peer cannot be set up here; says why."""


def quix_python() -> str:
    """The bench's own build of Python, in an environment with Quix Streams. Raises Missing."""
    build = zlib.crc32(f"{sys.version} {sys.base_prefix}".encode())
    home = HOME / f"{QUIX}-{build:08x}"
    python = home / "bin" / "python"
    if not (home / "done").exists():
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)], "making an environment for Quix")
        _run([str(python), "-m", "pip", "install", "--quiet", QUIX], f"installing {QUIX}")
        (home / "done").touch()
    return str(python)


def kstreams_class_path() -> str:
    """Where `java` finds the Kafka Streams peer. Raises Missing."""
    for tool in ("mvn", "javac", "java"):
        if shutil.which(tool) is None:
            raise Missing(f"{tool} is not here (Kafka Streams needs Maven and a JDK)")
    jars, classes = HOME / "kstreams-4.3.1", HOME / "kstreams-classes"
    pom, source = PEERS / "kstreams" / "pom.xml", PEERS / "kstreams" / "Ordering.java"
    if not jars.is_dir():
        into = f"-DoutputDirectory={jars}.part"
        _run(["mvn", "-q", "-f", str(pom), "dependency:copy-dependencies", into], "fetching jars")
        Path(f"{jars}.part").rename(jars)
    classes.mkdir(parents=True, exist_ok=True)
    _run(
        ["javac", "-nowarn", "-cp", f"{jars}/*", "-d", str(classes), str(source)],
        "compiling the Kafka Streams peer",
    )
    return f"{classes}:{jars}/*"


def _run(command: Sequence[str], doing: str) -> None:
    HOME.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Missing(f"{doing} failed: {(done.stderr or done.stdout).strip()[-500:]}")
