"""The short cuts of plain records: made in Python, and compiled from today's source."""

import importlib.util
import shutil
import sysconfig
from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec import Struct

from pmstream.runtime import flat
from pmstream.runtime.flat import Fields, QuickRead, Write, plain_fields

TYPES = {"text": "string", "raw": "bytes", "short": "int", "long": "long", "yes": "boolean"}
TYPES["real"] = "double"
SCHEMA: dict[str, Any] = {
    "type": "record",
    "name": "test.Plain",
    "fields": [{"name": name, "type": type_} for name, type_ in TYPES.items()],
}
PREFIX = b"prefix"


class Plain(Struct, frozen=True):
    """One field of each plain type."""

    __schema__: ClassVar[str] = "test.Plain"
    text: Any
    raw: Any
    short: Any
    long: Any
    yes: Any
    real: Any


class Slowly(Exception):
    """The long way was gone."""


def slowly(_message: object) -> bytes:
    raise Slowly


ROOT = Path(__file__).parents[1]


class Twin:
    """One of the two, and what it makes for `Plain`."""

    def __init__(self, compiled: Any = None) -> None:
        self._compiled, fields = compiled, plain_fields(SCHEMA)
        assert fields is not None
        self.read = self.reader(fields, len(PREFIX), Plain)
        self.write = self.writer(fields, PREFIX, slowly)

    def reader(self, fields: Fields, start: int, type_: type[Struct]) -> QuickRead:
        if self._compiled is None:
            return flat.python_reader(fields, start, type_)
        made: QuickRead = self._compiled.reader(*flat._plan(fields), start, type_)
        return made

    def writer(self, fields: Fields, prefix: bytes, slowly: Write) -> Write:
        if self._compiled is None:
            return flat.python_writer(fields, prefix, slowly)
        made: Write = self._compiled.writer(*flat._plan(fields), prefix, slowly)
        return made


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The C source of this moment, compiled as the wheel's build does it."""
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    if shutil.which("cc") is None or not headers.exists():
        pytest.skip("no C compiler here, or no headers of Python: everything is pure Python")
    folder = tmp_path_factory.mktemp("compiled")
    build = _module(ROOT / "hatch_build.py", "hatch_build")
    assert build.compile_into(folder, ROOT / build.SOURCE) == ""
    return _module(folder / build.LIBRARY.name, "_flat")


def _module(path: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="session", params=["python", "compiled"])
def twin(request: pytest.FixtureRequest) -> Twin:
    is_compiled = request.param == "compiled"
    return Twin(request.getfixturevalue("compiled") if is_compiled else None)
