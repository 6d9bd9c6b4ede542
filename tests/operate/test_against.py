"""What changed in a folder of schemas and does not go together with how they were."""

from pathlib import Path
from typing import Any

import pytest

from pmstream.errors import ConfigurationError
from pmstream.operate.against import Finding, against
from tests.operate.repository import Repository
from tests.runtime import zoo

T = "zoo.T"


def field(name: str, type_: Any, **more: Any) -> Any:
    return {"name": name, "type": type_, **more}


def record(*fields: Any, name: str = T, **more: Any) -> Any:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def enum(*symbols: str, **more: Any) -> Any:
    return {"type": "enum", "name": "Level", "symbols": list(symbols), **more}


A = field("a", "long")
BACK, FORTH = "backward", "forward"
LINES = {"type": "array", "items": record(field("units", "long"), name="Line")}
MORE_LINES = {
    "type": "array",
    "items": record(field("units", "long"), field("unit", "string"), name="Line"),
}
# change: the record before, after, and what is found: field, what it breaks, and the sentence
CHANGES: dict[str, tuple[Any, Any, list[tuple[str, str, str]]]] = {
    "nothing": (record(A), record(A), []),
    "words": (record(A), record(field("a", "long", doc="more")), []),
    "order": (record(A, field("b", "int")), record(field("b", "int"), A), []),
    "a field more, with a default": (record(A), record(A, field("b", "int", default=1)), []),
    "a field less, with a default": (record(A, field("b", "int", default=1)), record(A), []),
    "a field more": (
        record(A),
        record(A, field("b", "int")),
        [("b", BACK, "is new and has no default")],
    ),
    "a field less": (
        record(A, field("b", "int")),
        record(A),
        [("b", FORTH, "is gone and had no default")],
    ),
    "a field of another name": (
        record(A),
        record(field("b", "long")),
        [("b", BACK, "is new and has no default"), ("a", FORTH, "is gone and had no default")],
    ),
    "a field of another name, with its alias": (
        record(A),
        record(field("b", "long", aliases=["a"])),
        [("a", FORTH, "is gone and had no default")],
    ),
    "a wider type": (
        record(field("a", "int")),
        record(A),
        [("a", FORTH, "is long, which int cannot read")],
    ),
    "a narrower type": (
        record(A),
        record(field("a", "int")),
        [("a", BACK, "was long, which int cannot read")],
    ),
    "another type": (
        record(A),
        record(field("a", "string")),
        [
            ("a", BACK, "was long, which string cannot read"),
            ("a", FORTH, "is string, which long cannot read"),
        ],
    ),
    "bytes for text": (record(field("a", "string")), record(field("a", "bytes")), []),
    "a symbol more": (
        record(field("a", enum("LOW"))),
        record(field("a", enum("LOW", "HIGH", "TOP"))),
        [("a", FORTH, "can be HIGH, TOP, which old readers do not know and have no default for")],
    ),
    "a symbol less": (
        record(field("a", enum("LOW", "HIGH"))),
        record(field("a", enum("LOW"))),
        [("a", BACK, "can no more be HIGH, and the enum has no default")],
    ),
    "symbols, with a default": (
        record(field("a", enum("LOW", "HIGH", default="LOW"))),
        record(field("a", enum("LOW", "TOP", default="LOW"))),
        [],
    ),
    "made optional": (
        record(A),
        record(field("a", ["null", "long"])),
        [("a", FORTH, "can be null, which old readers do not know")],
    ),
    "no more optional": (
        record(field("a", ["null", "long"])),
        record(A),
        [("a", BACK, "can no more be null")],
    ),
    "an item's field more": (
        record(field("lines", LINES)),
        record(field("lines", MORE_LINES)),
        [("lines[].unit", BACK, "is new and has no default")],
    ),
    "an optional record's field more": (
        record(field("a", ["null", record(A, name="In")])),
        record(field("a", ["null", record(A, field("b", "int"), name="In")])),
        [("a.b", BACK, "is new and has no default")],
    ),
    "an optional record's field more, under another name": (
        record(field("a", ["null", record(A, name="In")])),
        record(field("a", ["null", record(A, field("b", "int"), name="Into", aliases=["In"])])),
        [
            ("a.b", BACK, "is new and has no default"),
            ("a", FORTH, "can be record zoo.Into, which old readers do not know"),
        ],
    ),
    "a record within of another name": (
        record(field("a", record(A, name="In"))),
        record(field("a", record(A, name="Inner"))),
        [
            ("a", BACK, "was record zoo.In and is record zoo.Inner, which lacks the alias"),
            ("a", FORTH, "is record zoo.Inner, which old readers know as record zoo.In"),
        ],
    ),
    "a record within of another name, with its alias": (
        record(field("a", record(A, name="In"))),
        record(field("a", record(A, name="Inner", aliases=["In"]))),
        [("a", FORTH, "is record zoo.Inner, which old readers know as record zoo.In")],
    ),
    "another length": (
        record(field("a", {"type": "fixed", "name": "F", "size": 2})),
        record(field("a", {"type": "fixed", "name": "F", "size": 3})),
        [("a", BACK, "was 2 and is 3 bytes long"), ("a", FORTH, "is 3 and was 2 bytes long")],
    ),
    "another unit": (
        record(field("a", zoo.MILLIS)),
        record(field("a", zoo.logical("long", "timestamp-micros"))),
        [
            ("a", BACK, "was long-timestamp-millis and is long-timestamp-micros: numbers"),
            ("a", FORTH, "was long-timestamp-micros and is long-timestamp-millis: numbers"),
        ],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_named_by_field_and_by_whom_it_breaks(change: str, tmp_path: Path) -> None:
    before, after, expected = CHANGES[change]
    then = zoo.write(tmp_path / "then", {T: before})
    now = zoo.write(tmp_path / "now", {T: after, "previous/T-1": before})

    found = against(now, str(then))

    assert [(each.message, each.field, each.breaks) for each in found] == [
        (T, path, breaks) for path, breaks, _ in expected
    ]
    for each, (_, _, said) in zip(found, expected, strict=True):
        assert each.change.startswith(said)


def test_a_schema_that_wrote_records_must_be_kept(tmp_path: Path) -> None:
    changed, gone, same = record(A), record(A, name="zoo.Gone"), record(A, name="zoo.Same")
    older = record(field("a", "int"))
    all_then = {T: changed, "zoo.Gone": gone, "zoo.Same": same, "previous/T-1": older}
    then = zoo.write(tmp_path / "then", {**all_then, "previous/Gone-1": gone})
    now = zoo.write(tmp_path / "now", {T: record(), "zoo.Same": same})

    found = against(now, str(then))

    kept = "that file into previous/, under any name"
    assert [each for each in found if each.breaks == "previous"] == [
        Finding(
            name,
            "",
            "previous",
            f"records that {key}.avsc wrote at {then} are unknown now: put {kept}",
        )
        for name, key in (("zoo.Gone", "previous/Gone-1"), (T, "previous/T-1"), (T, T))
    ]


def test_a_message_of_another_name_is_compared_with_its_heir(tmp_path: Path) -> None:
    then = zoo.write(tmp_path / "then", {"zoo.Old": record(A, name="zoo.Old")})
    renamed = record(A, aliases=["Old"])
    now = zoo.write(tmp_path / "now", {T: renamed, "previous/Old": record(A, name="zoo.Old")})

    assert against(now, str(then)) == [
        Finding(T, "", "forward", "is record zoo.T, which old readers know as record zoo.Old")
    ]


def test_a_new_message_breaks_nothing(tmp_path: Path) -> None:
    then = zoo.write(tmp_path / "then", {T: record(A)})
    now = zoo.write(tmp_path / "now", {T: record(A), "zoo.New": record(A, name="zoo.New")})

    assert against(now, str(then)) == []


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def test_a_git_revision_is_the_folder_as_it_was(repository: Repository) -> None:
    repository.write(record(A), old=record(field("a", "int")))
    (repository.root / "avro.avsc").write_text("not of this folder")
    (repository.folder / "drafts").mkdir()
    (repository.folder / "drafts" / "zoo.T.avsc").write_text("not of this folder, either")
    repository.commit("v1")
    repository.write(record(A, field("b", "int")), old=record(A))
    repository.commit("v2")
    repository.write(record(A, field("b", "int")), old=record(A))

    assert against(repository.folder, "v2") == against(repository.folder, "HEAD") == []
    assert [(each.field, each.breaks) for each in against(repository.folder, "HEAD~1")] == [
        ("b", "backward"),
        ("", "previous"),
    ]
    assert "previous/old.avsc wrote at v1" in against(repository.folder, "v1")[1].change


def test_a_hooks_own_repository_is_not_asked(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    repository.write(record(A))
    repository.commit("v1")
    monkeypatch.setenv("GIT_DIR", str(Repository(tmp_path / "another").root / ".git"))

    assert against(repository.folder, "v1") == []


def test_what_cannot_be_compared_with_is_told(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit("empty")
    repository.write(record(A))
    (repository.folder / "zoo.Bad.avsc").write_text("{")
    repository.commit("bad")
    (repository.folder / "zoo.Bad.avsc").unlink()
    outside = zoo.write(tmp_path / "outside", {T: record(A)})
    here, file = repository.folder, repository.folder / f"{T}.avsc"
    nowhere = tmp_path / "nowhere"
    cases = [
        (
            here,
            "no-such-branch",
            f"'no-such-branch' is neither a folder nor a revision of a git .* {here}",
        ),
        (here, "--all", "'--all' is neither a folder nor a git revision"),
        (here, "v1:avro", "'v1:avro' is neither a folder nor a revision"),
        (here, str(file), f"{file} is a file; give a folder of schemas or a git revision"),
        (here, "empty", f"{here} had no .avsc files at empty"),
        (here, "bad", "bad:avro/zoo.Bad.avsc: not an Avro schema: "),
        (
            outside,
            "main",
            f"'main' is neither a folder .* {outside} is in .git: fatal: not a git rep",
        ),
        (nowhere, "main", f"{nowhere} is no folder; only what is there can be compared"),
        (nowhere, str(outside), f"{nowhere} is no folder; schemas=... of the App names the one"),
    ]
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))

    for folder, ref, said in cases:
        with pytest.raises(ConfigurationError, match=f"^{said}"):
            against(folder, ref)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"^there is no folder main, and git, which may"):
        against(here, "main")


def test_a_folder_with_a_file_that_is_no_schema_is_not_compared_with(tmp_path: Path) -> None:
    then = zoo.write(tmp_path / "then", {T: "{"})
    now = zoo.write(tmp_path / "now", {T: record(A)})

    with pytest.raises(ConfigurationError, match=rf"^{then}/zoo\.T\.avsc: not an Avro schema: "):
        against(now, str(then))
