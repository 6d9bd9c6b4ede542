"""`pmstream schemas`: writes types, and finds where types and schemas disagree."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import APP, Pmstream


@pytest.fixture
def avro(folder: Path) -> Path:
    schema = {
        "type": "record",
        "name": "Ordered",
        "namespace": "shop",
        "fields": [{"name": "amount", "type": "long"}],
    }
    found = folder / "avro"
    found.mkdir()
    (found / "shop.Ordered.avsc").write_text(json.dumps(schema))
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


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
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
