"""Jars are the locked ones, or one sentence says which is not and what to do."""

import hashlib
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from pmstream.devkafka import DevKafkaError, fetch, jars
from pmstream.devkafka.jars import Jar

ONE = b"the bytes of a jar"
TWO = b"the bytes of another jar"
JARS = (
    Jar("org.example:one:1.0", hashlib.sha256(ONE).hexdigest()),
    Jar("org.example:two_2.13:2.0", hashlib.sha256(TWO).hexdigest()),
)
RIGHT = {"one-1.0.jar": ONE, "two_2.13-2.0.jar": TWO}


def silent(_line: str) -> None:
    pass


def fill(folder: Path, files: Mapping[str, bytes] = RIGHT) -> Path:
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


class Source:
    """A repository that brings these files, and remembers what it was asked for."""

    __name__ = "by_mail"

    def __init__(self, files: Mapping[str, bytes] = RIGHT) -> None:
        self.files = files
        self.asked: list[list[str]] = []

    def __call__(self, wanted: Mapping[str, str], into: Path, came: Callable[[str], None]) -> None:
        self.asked.append(list(wanted))
        for name in wanted.values():
            if name in self.files:
                (into / name).write_bytes(self.files[name])
                came(name)


def test_the_lock_file_names_46_jars_and_their_hashes() -> None:
    locked = jars.wanted()

    assert len(locked) == len({jar.name for jar in locked}) == 46
    assert all(re.fullmatch(r"[^:\s]+:[^:\s]+:[^:\s]+", jar.coordinate) for jar in locked)
    assert all(re.fullmatch(r"[0-9a-f]{64}", jar.sha256) for jar in locked)
    assert "kafka_2.13-4.3.1.jar" in {jar.name for jar in locked}


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    source, lines = Source(), list[str]()

    first = jars.find(tmp_path, None, lines.append, JARS, [source])
    again = jars.find(tmp_path, None, lines.append, JARS, [source])

    assert first == again == [tmp_path / "jars" / name for name in RIGHT]
    assert [path.read_bytes() for path in first] == [ONE, TWO]
    assert len(source.asked) == 1
    assert lines[-1].endswith("2 of 2")


def test_a_corrupt_jar_in_the_cache_is_fetched_anew(tmp_path: Path) -> None:
    kept = fill(tmp_path / "jars", RIGHT | {"one-1.0.jar": b"rot"})
    source = Source()

    jars.find(tmp_path, None, silent, JARS, [source])

    assert source.asked == [["org.example:one:1.0"]]
    assert (kept / "one-1.0.jar").read_bytes() == ONE


def test_class_archives_of_older_jars_go_with_them(tmp_path: Path) -> None:
    (tmp_path / "classes-0123").touch()

    jars.find(tmp_path, None, silent, JARS, [Source()])

    assert not (tmp_path / "classes-0123").exists()


def test_the_next_source_is_asked_when_one_brings_rot(tmp_path: Path) -> None:
    rotten, good = Source(RIGHT | {"one-1.0.jar": b"rot"}), Source()

    found = jars.find(tmp_path, None, silent, JARS, [rotten, good])

    assert found[0].read_bytes() == ONE


def test_a_jar_that_stays_corrupt_is_named_with_both_hashes(tmp_path: Path) -> None:
    rot = b"rot"

    with pytest.raises(DevKafkaError) as caught:
        jars.find(tmp_path, None, silent, JARS, [Source({"one-1.0.jar": rot})])

    said = str(caught.value)
    assert "one-1.0.jar as mail brings it is corrupt" in said
    assert hashlib.sha256(rot).hexdigest() in said
    assert JARS[0].sha256 in said
    assert "\n" not in said
    assert not list((tmp_path / "jars").iterdir())
    assert not list(tmp_path.glob("making-*"))


def test_without_a_source_the_sentence_says_why_and_what_to_do(tmp_path: Path) -> None:
    def nowhere(_wanted: Mapping[str, str], _into: Path, _came: Callable[[str], None]) -> None:
        raise fetch.Unfetched("mvn is not on PATH")

    with pytest.raises(DevKafkaError, match=r"mvn is not on PATH; install .*--kafka-home$"):
        jars.find(tmp_path, None, silent, JARS, [nowhere])


@pytest.mark.parametrize("inner", ["", "libs"])
def test_a_kafka_home_is_used_as_it_is(tmp_path: Path, inner: str) -> None:
    folder = fill(tmp_path / "home" / inner)

    found = jars.find(tmp_path, tmp_path / "home", silent, JARS, [])

    assert found == [folder / name for name in RIGHT]


def test_a_corrupt_jar_in_a_kafka_home_is_named_with_both_hashes(tmp_path: Path) -> None:
    home = fill(tmp_path / "home", RIGHT | {"one-1.0.jar": b"rot"})

    with pytest.raises(DevKafkaError) as caught:
        jars.find(tmp_path, home, silent, JARS, [Source()])

    actual = hashlib.sha256(b"rot").hexdigest()
    assert str(caught.value) == (
        f"{home / 'one-1.0.jar'} is corrupt: its SHA-256 is {actual} instead of "
        f"{JARS[0].sha256}; replace it, or give no folder to have the jars fetched"
    )
    assert (home / "one-1.0.jar").read_bytes() == b"rot"


def test_a_kafka_home_without_jars_is_told(tmp_path: Path) -> None:
    with pytest.raises(DevKafkaError, match=r"holds no one-1\.0\.jar: give the folder"):
        jars.find(tmp_path, tmp_path / "nothing", silent, JARS, [Source()])


@pytest.mark.kafka  # reaches a registry, as the broker's first start does
@pytest.mark.parametrize("source", fetch.SOURCES, ids=lambda source: str(source.__name__))
def test_each_source_brings_the_locked_bytes(tmp_path: Path, source: fetch.Source) -> None:
    small = [jar for jar in jars.wanted() if jar.coordinate.startswith("org.jspecify:")]

    try:
        source({jar.coordinate: jar.name for jar in small}, tmp_path, silent)
    except fetch.Unfetched as reason:
        if "not on PATH" in str(reason) or "not installed" in str(reason):
            pytest.skip(str(reason))
        raise

    assert hashlib.sha256((tmp_path / small[0].name).read_bytes()).hexdigest() == small[0].sha256
