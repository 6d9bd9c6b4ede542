"""Message types written from schemas: deterministic, formatted, typed, and what they carry."""

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from pmstream import App
from pmstream.errors import ConfigurationError
from pmstream.examples import fulfilment, messages, shop_messages
from pmstream.examples.transfer import app
from pmstream.operate import schemas
from pmstream.runtime.codec import Codec
from tests.runtime import zoo

ROOT = Path(__file__).parent.parent.parent
LONG = "A sentence that is a good deal longer than the width of a line of code here may be, " * 2
AWKWARD = zoo.record(
    "zoo.Awkward",
    ("from", "string", "it's"),
    ("int", "long", 5),
    ("plain", "string"),
    ("quoted", "string", 'say "so"'),
    ("empty", {"type": "array", "items": "string"}, []),
    ("one", {"type": "array", "items": "long"}, [1]),
    ("counts", {"type": "map", "values": "long"}, {"a": 1}),
    ("id", zoo.logical("string", "uuid"), "00000000-0000-0000-0000-000000000001"),
    ("day", zoo.logical("int", "date"), 1),
    ("local", zoo.logical("long", "local-timestamp-micros"), 1),
    ("means", ["null", zoo.CARD, zoo.record("Account", ("number", "string"))], None),
    ("lambda_", {"type": "enum", "name": "Odd", "symbols": ["None", "name", "GOOD"]}, "None"),
    ("ratio", "double", 1),
    ("yes", "boolean", True),
)
AWKWARD["doc"] = f'{LONG}. And "quotes", and a back\\slash.'
AWKWARD["fields"][0]["doc"] = LONG
SCHEMAS = {**zoo.SCHEMAS, "zoo.Awkward": AWKWARD}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # msgspec looks annotations up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Two schemas of the zoo define zoo.Money and so on: of each one file, as in one namespace.
    return zoo.write(tmp_path / "avro", {"zoo.Deep": zoo.DEEP, "zoo.Flat": zoo.FLAT})


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    return zoo.write(tmp_path / "avro", {"zoo.Awkward": AWKWARD})


@pytest.mark.parametrize(
    ("module", "namespace", "its_app"),
    [(messages, "bank", app), (shop_messages, "shop", fulfilment.app)],
    ids=["bank", "shop"],
)
def test_the_examples_are_in_step_with_their_schemas(
    module: ModuleType, namespace: str, its_app: App
) -> None:
    out = Path(str(module.__file__))

    assert schemas.difference(ROOT / "avro", out, namespace) == ""
    assert schemas.generate(ROOT / "avro", out, namespace) is False
    assert schemas.check(its_app) == []


@pytest.mark.parametrize("which", ["folder", "awkward"])
def test_generated_types_agree_with_their_schemas(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    avro = request.getfixturevalue(which)
    out = tmp_path / f"generated_{which}.py"

    assert schemas.generate(avro, out)
    assert not schemas.generate(avro, out)
    assert schemas.check(load(out), avro) == []


@pytest.mark.parametrize("which", ["folder", "awkward"])
def test_generated_code_is_as_our_tools_want_it(
    which: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    out = tmp_path / "generated_code.py"
    schemas.generate(request.getfixturevalue(which), out)
    ruff = [sys.executable, "-m", "ruff"]
    config = ["--config", str(ROOT / "pyproject.toml"), "--no-cache", str(out)]
    mypy = ["mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path}/cache", str(out)]

    for command in (
        [*ruff, "format", "--check", "--diff", *config],
        [*ruff, "check", "--ignore", "DTZ001", *config],
        [sys.executable, "-m", *mypy],
    ):
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_generated_types_carry_what_they_hold(awkward: Path, tmp_path: Path) -> None:
    out = tmp_path / "generated_awkward_types.py"
    schemas.generate(awkward, out)
    made: Any = load(out)
    codec = Codec(zoo.make_app(awkward, events={"t": [made.Awkward]}, commands={}))

    for message in (
        made.Awkward(plain="p"),
        made.Awkward(plain="p", means=made.Account("1"), one=(), counts={}, lambda_=made.Odd.name_),
    ):
        assert codec.decode("t", codec.encode_event("t", message)) == message
    assert made.Awkward(plain="p").from_ == "it's"
    with pytest.raises(AttributeError):
        made.Awkward(plain="p").plain = "q"


def test_the_same_schemas_give_the_same_text(folder: Path) -> None:
    assert schemas.render(folder) == schemas.render(folder)
    assert schemas.render(folder, "zoo") == schemas.render(folder)


def test_a_difference_shows_the_line(tmp_path: Path) -> None:
    avro = zoo.write(tmp_path / "avro", {"zoo.Simple": zoo.SIMPLE})
    out = tmp_path / "messages.py"
    schemas.generate(avro, out)
    out.write_text(out.read_text().replace("n: int", "n: float"))

    shown = schemas.difference(avro, out)

    assert "-    n: float\n+    n: int" in shown
    assert "+class Simple" in schemas.difference(avro, tmp_path / "absent.py")


def test_schemas_at_fault_are_not_generated(tmp_path: Path) -> None:
    avro = zoo.write(tmp_path, {"zoo.Simple": "{", "a.T": zoo.OTHER | {"name": "b.T"}})

    with pytest.raises(ConfigurationError) as caught:
        schemas.generate(avro, tmp_path / "messages.py")

    assert len(caught.value.faults) == 2
    assert not (tmp_path / "messages.py").exists()


def test_an_empty_folder_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no schemas to make types from"):
        schemas.render(tmp_path)


def test_two_types_of_one_simple_name_need_two_modules(tmp_path: Path) -> None:
    both = {name: zoo.OTHER | {"name": name} for name in ("a.T", "b.T")}
    avro = zoo.write(tmp_path, both)

    with pytest.raises(ConfigurationError, match=r"a\.T and b\.T would both be a class T"):
        schemas.render(avro)
    assert '__schema__: ClassVar[str] = "b.T"' in schemas.render(avro, "b")


def test_a_module_is_checked_against_a_folder(tmp_path: Path) -> None:
    avro = zoo.write(tmp_path / "avro", {"zoo.Simple": zoo.SIMPLE})
    module: Any = ModuleType("authored")
    fields: list[Any] = [("id", int), ("n", int), ("note", str, "-")]
    module.Simple = msgspec.defstruct("Simple", fields, namespace={"__schema__": "zoo.Simple"})
    module.Gone = msgspec.defstruct("Gone", fields, namespace={"__schema__": "zoo.Gone"})

    assert schemas.check(module, avro) == [
        f"Gone: {avro} has no zoo.Gone.avsc",
        "Simple (zoo.Simple): field id is int in the type; the schema says string",
    ]
    with pytest.raises(ConfigurationError, match="which folder has the schemas of module authored"):
        schemas.check(module)
