"""`pmstream schemas`: writes types, finds where types and schemas disagree, and what changed."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import APP, Pmstream
from tests.operate.repository import Repository

AMOUNT = {
    "type": "record",
    "name": "shop.Ordered",
    "fields": [{"name": "amount", "type": "long"}],
}


@pytest.fixture
def avro(folder: Path) -> Path:
    found = folder / "avro"
    found.mkdir()
    (found / "shop.Ordered.avsc").write_text(json.dumps(AMOUNT))
    return found


def test_the_example_agrees_with_its_schemas(pmstream: Pmstream) -> None:
    result = pmstream("schemas", "check", APP)

    assert (result.exit_code, result.output) == (0, f"types and schemas of {APP} agree\n")


def test_generate_writes_once_and_check_follows(
    pmstream: Pmstream, avro: Path, folder: Path
) -> None:
    out = folder / "generated_1.py"

    before = pmstream("schemas", "generate", "avro", out.name, "--check")
    written = pmstream("schemas", "generate", "avro", out.name)
    again = pmstream("schemas", "generate", "avro", out.name)
    after = pmstream("schemas", "generate", "avro", out.name, "--check")
    agrees = pmstream("schemas", "check", "generated_1", "--folder", "avro")

    assert (before.exit_code, after.exit_code, agrees.exit_code) == (1, 0, 0)
    assert "+class Ordered(Struct, frozen=True):" in before.stdout
    assert "class Ordered(" in out.read_text()
    assert written.stdout == "generated_1.py: written\n"
    assert again.stdout == "generated_1.py: in step already\n"


def test_a_disagreement_is_told(pmstream: Pmstream, avro: Path, folder: Path) -> None:
    pmstream("schemas", "generate", "avro", "generated_2.py")
    code = (folder / "generated_2.py").read_text().replace("amount: int", "amount: str")
    (folder / "generated_2.py").write_text(code)

    result = pmstream("schemas", "check", "generated_2", "--folder", "avro")

    assert result.exit_code == 1
    assert "amount" in result.stderr


def test_every_change_since_a_revision_is_compatible(pmstream: Pmstream, folder: Path) -> None:
    repository = Repository(folder / "repository")
    repository.write(AMOUNT)
    repository.commit("v1")
    where = ("--folder", str(repository.folder), "--against", "v1")

    table = pmstream("schemas", "check", *where)
    rows = pmstream("schemas", "check", *where, "-o", "json")

    assert (table.exit_code, rows.exit_code, rows.output) == (0, 0, "[]\n")
    assert table.output == (
        f"the schemas in {repository.folder} are whole\nevery change since v1 is compatible\n"
    )


def test_an_incompatible_change_is_a_row_and_an_exit_code(
    pmstream: Pmstream, avro: Path, folder: Path
) -> None:
    then = folder / "then"
    then.mkdir()
    narrower = json.dumps(AMOUNT | {"fields": [{"name": "amount", "type": "int"}]})
    (then / "shop.Ordered.avsc").write_text(narrower)
    (avro / "previous").mkdir()
    (avro / "previous" / "Ordered-1.avsc").write_text(narrower)

    table = pmstream("schemas", "check", "--folder", "avro", "--against", "then")
    rows = pmstream("schemas", "check", "--folder", "avro", "--against", "then", "-o", "json")

    assert (table.exit_code, rows.exit_code) == (1, 1)
    assert table.stdout.splitlines()[0].split() == ["message", "field", "breaks", "change"]
    assert "shop.Ordered  amount  forward  is long, which int cannot read" in table.stdout
    assert json.loads(rows.stdout) == [
        {
            "message": "shop.Ordered",
            "field": "amount",
            "breaks": "forward",
            "change": "is long, which int cannot read",
        }
    ]


def test_an_app_is_compared_by_its_own_folder(pmstream: Pmstream, avro: Path) -> None:
    result = pmstream("schemas", "check", APP, "--against", "avro", "-o", "json")

    [row] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (row["message"], row["breaks"]) == ("shop.Ordered", "previous")


def test_what_is_wrong_now_is_told_beside_what_changed(
    pmstream: Pmstream, avro: Path, folder: Path
) -> None:
    pmstream("schemas", "generate", "avro", "generated_3.py")
    code = (folder / "generated_3.py").read_text().replace("amount: int", "amount: str")
    (folder / "generated_3.py").write_text(code)
    arguments = ("generated_3", "--folder", "avro", "--against", "avro", "-o", "json")

    result = pmstream("schemas", "check", *arguments)

    [row] = json.loads(result.stdout)
    assert result.exit_code == 1
    assert (row["message"], row["breaks"]) == (None, "types")
    assert "amount is str in the type" in row["change"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("check",), "give an APP to check, or a --folder of schemas"),
        (("check", "--folder", "gone", "--against", "x"), "gone is no folder"),
        (("check", "--folder", "avro", "--against", "x"), "'x' is neither a folder nor a revision"),
        (("check", "pmstream.examples.messages"), "which folder has the schemas of module"),
        (("generate", "gone", "x.py"), "Invalid value for 'FOLDER'"),
        (("generate", "empty", "x.py"), "empty has no schemas to make types from"),
        (("generate", "broken", "x.py"), ""),
        (("generate", "avro", "no/such/folder/x.py"), "no/such/folder/x.py cannot be written: No"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    pmstream: Pmstream, avro: Path, folder: Path, arguments: tuple[str, ...], text: str
) -> None:
    (folder / "empty").mkdir()
    (folder / "broken").mkdir()
    (folder / "broken" / "shop.Broken.avsc").write_text("{")

    result = pmstream("schemas", *arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
    assert len(result.stderr.splitlines()) == 1
