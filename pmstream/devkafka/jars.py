"""The jars of Apache Kafka: which, from where, and that they are the right ones.

Rule: no jar is put on a class path whose SHA-256 is not the one in jars.lock.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pmstream.devkafka import fetch
from pmstream.devkafka.cache import VERSION, locked, workshop
from pmstream.devkafka.errors import DevKafkaError

LOCK = Path(__file__).with_name("jars.lock")


@dataclass(frozen=True)
class Jar:
    """One line of jars.lock.

    Attributes:
        coordinate: Maven's `group:artifact:version`.
        sha256: of the file, in hexadecimal.
    """

    coordinate: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


@cache
def wanted(lock: Path = LOCK) -> tuple[Jar, ...]:
    """All jars of the lock file, in its order: that of the class path."""
    return tuple(Jar(*line.split()) for line in lock.read_text().splitlines())


def find(
    cache_folder: Path,
    kafka_home: Path | None,
    progress: Callable[[str], None],
    jars: Sequence[Jar] = wanted(),
    sources: Sequence[fetch.Source] = fetch.SOURCES,
) -> list[Path]:
    """The class path, every file of it checked.

    Args:
        cache_folder: where jars are kept; they are fetched when missing or corrupt there.
        kafka_home: a folder that holds the jars, itself or in `libs`; nothing is fetched then.
        progress: is told what is going on while it takes long.
        jars: which.
        sources: where missing ones come from, the first that has them all.

    Raises:
        DevKafkaError: jars are missing or corrupt.
    """
    if kafka_home is not None:
        return _in_home(kafka_home, jars)
    kept = cache_folder / "jars"
    with locked(cache_folder):
        bad = [jar for jar in jars if _sha256(kept / jar.name) != jar.sha256]
        if bad:
            _fetch(bad, cache_folder, progress, sources)
    return [kept / jar.name for jar in jars]


def _in_home(home: Path, jars: Iterable[Jar]) -> list[Path]:
    libs = home / "libs"
    folder = (libs if libs.is_dir() else home).absolute()
    for jar in jars:
        actual = _sha256(folder / jar.name)
        if actual is None:
            raise DevKafkaError(
                f"{folder} holds no {jar.name}: give the folder of the jars of Kafka {VERSION}, or "
                "none to have them fetched"
            )
        if actual != jar.sha256:
            raise DevKafkaError(
                f"{folder / jar.name} is corrupt: its SHA-256 is {actual} instead of {jar.sha256}; "
                "replace it, or give no folder to have the jars fetched"
            )
    return [folder / jar.name for jar in jars]


def _fetch(
    bad: list[Jar],
    cache_folder: Path,
    progress: Callable[[str], None],
    sources: Sequence[fetch.Source],
) -> None:
    """Gets jars from the first source that has the right ones."""
    reasons = []
    kept = cache_folder / "jars"
    kept.mkdir(exist_ok=True)
    coordinates = {jar.coordinate: jar.name for jar in bad}
    progress(f"fetching {_named(bad)}")
    for source in sources:
        with workshop(cache_folder) as into:
            try:
                source(coordinates, into, _counted(coordinates, progress))
                _check(bad, into, source.__name__.removeprefix("by_"))
            except fetch.Unfetched as reason:
                reasons.append(str(reason))
                continue
            for archive in cache_folder.glob("classes-*"):
                archive.unlink()  # a JVM refuses an archive of older jars
            for jar in bad:
                (into / jar.name).replace(kept / jar.name)
        return
    raise DevKafkaError(
        f"{_named(bad)} cannot be fetched into {kept}: {'; '.join(reasons)}; install mvn or "
        "`pip install 'pmstream[kafka-dev]'`, or give a folder of the jars by --kafka-home"
    )


def _check(jars: Iterable[Jar], folder: Path, source: str) -> None:
    for jar in jars:
        actual = _sha256(folder / jar.name)
        if actual is None:
            raise fetch.Unfetched(f"{source} did not bring {jar.name}")
        if actual != jar.sha256:
            raise fetch.Unfetched(
                f"{jar.name} as {source} brings it is corrupt: its SHA-256 is {actual} instead of "
                f"{jar.sha256}, so delete it from the local Maven repository"
            )


def _counted(
    coordinates: Mapping[str, str], progress: Callable[[str], None]
) -> Callable[[str], None]:
    """Tells of each tenth jar, and of the last."""
    came: set[str] = set()
    total = len(coordinates)

    def tell(name: str) -> None:
        if name in came or name not in coordinates.values():
            return
        came.add(name)
        if len(came) % 10 == 0 or len(came) == total:
            progress(f"fetching Apache Kafka {VERSION}: {len(came)} of {total}")

    return tell


def _named(jars: list[Jar]) -> str:
    if len(jars) == 1:
        return jars[0].name
    return f"{len(jars)} jars of Apache Kafka {VERSION}"


def _sha256(path: Path) -> str | None:
    """In hexadecimal; None if there is no such file."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return None
