"""This machine: versions, open files, state directory, space."""

import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, state
from pmstream.operate.doctor.machine import fits, judge_files, libraries
from pmstream.operate.doctor.state import existing, judge_space, owners, usable
from pmstream.runtime.compiled import IS_COMPILED
from pmstream.runtime.folder import lock_directory
from tests.operate.doctor.kit import Paper, codes, paper

WANTED = ">=2.16,<3"


class Older(Paper):
    """A client library that is not the one its binding was made for."""

    def library(self) -> str:
        return "2.3.0"


@pytest.mark.parametrize(
    ("found", "is_good"),
    [
        ("2.16.0", True),
        ("2.16", True),
        ("2.99.1", True),
        ("2.15.9", False),
        ("3.0.0", False),
        ("2.17.0rc1", True),
    ],
)
def test_a_version_fits_its_bounds(found: str, is_good: bool) -> None:
    assert fits(found, WANTED) is is_good


def test_another_librdkafka_than_the_binding_was_made_for_is_told(case: Case) -> None:
    older = structs.replace(case, survey=Older(paper(case).log))

    assert "other-librdkafka" not in codes(libraries(case))
    assert "other-librdkafka" in codes(libraries(older))


def test_which_codec_is_at_work_is_told(case: Case) -> None:
    told = next(each.what for each in libraries(case) if each.code == "versions")

    assert told.endswith("codec compiled" if IS_COMPILED else "codec in Python")


@pytest.mark.parametrize(
    ("limit", "partitions", "code"),
    [
        (256, 12, ["few-open-files"]),
        (1024, 12, ["open-files"]),
        (65_536, 12, []),
        (resource.RLIM_INFINITY, 10_000, []),
        (1024, 100, ["few-open-files"]),
    ],
)
def test_open_files_are_held_against_partitions(
    limit: int, partitions: int, code: list[str]
) -> None:
    assert codes(judge_files(limit, partitions, "pm")) == code


@pytest.mark.parametrize(
    ("mebibytes", "code"), [(100, ["space-out"]), (1_000, ["space-low"]), (10_000, [])]
)
def test_little_space_is_told(
    mebibytes: int, code: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "SPACE_LOW_BYTES", 2 << 30)

    assert codes(judge_space(mebibytes << 20, "state")) == code


def test_a_state_directory_that_is_not_there_yet_is_fine(case: Case) -> None:
    assert codes(usable(case)) == ["state-new"]

    case.settings.state_dir.mkdir()

    assert codes(usable(case)) == []


def test_a_file_in_the_way_of_the_state_directory_is_told(case: Case) -> None:
    case.settings.state_dir.write_text("not a folder")

    (found,) = usable(case)

    assert found.code == "state-unusable"
    assert found.what.endswith("state is no directory")


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o500)
    yield folder
    folder.chmod(0o700)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_state_directory_is_told(case: Case, read_only: Path) -> None:
    settings = case.settings.model_copy(update={"state_dir": read_only})

    assert codes(usable(structs.replace(case, settings=settings))) == ["state-unusable"]


def test_a_running_worker_is_told_by_its_lock_and_keeps_it(case: Case) -> None:
    folder = case.settings.state_dir / "bank" / "transfer-money" / "host-1"
    with lock_directory(folder, 1):
        (found,) = owners(case)

    assert found.code == "state-in-use"
    assert found.what == f"is held by process {os.getpid()}"
    assert codes(owners(case)) == []


def test_the_way_to_a_state_directory_is_followed_as_far_as_it_is_there(tmp_path: Path) -> None:
    assert existing(tmp_path) == tmp_path
    assert existing(tmp_path / "a" / "b") == tmp_path
