"""The settings, from the class that reads them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo

from pmstream.config import CONTRADICTIONS, NOT_SETTINGS, Settings
from pmstream.config_sources import PREFIX
from tests.book.docstrings import attributes
from tests.book.markdown import cell, table

_NESTED = {"kafka": "KAFKA__NAME", "app": "APP__NAME"}
_TYPES: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "true, false"}
_TYPES |= {Path: "folder", int | None: "number", dict[str, str]: "names and texts"}
_BOUNDS = {"ge": "at least", "gt": "more than", "le": "at most", "min_length": "not empty"}

OTHERS = {
    "PMSTREAM_CONFIG": "The TOML file of settings, instead of `pmstream.toml` in this folder.",
    "PMSTREAM_SECRETS_DIR": "A folder of files, each named like a variable, holding its value.",
    "PMSTREAM_JAVA": "The Java that `pmstream dev kafka` and the demo run Kafka with.",
    "PMSTREAM_CACHE": "Where Kafka's jars are kept, instead of the user's cache.",
    "PMSTREAM_PYTHON": "The Python that `./dev` makes its environment from.",
    "PMSTREAM_PURE_PYTHON": "1: a wheel is built, and a worker runs, without the compiled codec.",
}
"""Variables of our prefix that are no settings."""

INTERNAL = {"PMSTREAM_REPORT_FD"}
"""What a supervisor tells its workers; nobody sets it."""


def settings(beginning: str = "") -> Iterator[str]:
    """Every setting, or those whose names begin so: variable, default and meaning."""
    meanings = {
        name: meaning
        for names, meaning in attributes(Settings.__doc__)
        for name in names.split(", ")
    }
    rows = [
        [
            f"`{name}`",
            f"`{PREFIX}{_NESTED.get(name, name.upper())}`",
            _type(field),
            _default(field),
            cell(meanings[name]),
        ]
        for name, field in Settings.model_fields.items()
        if name.startswith(beginning)
    ]
    yield from table(["setting", "variable", "type", "default", "meaning"], rows)


def contradictions() -> Iterator[str]:
    """Which settings must be less than which."""
    rows = [[f"`{less}`", f"`{more}`", because] for less, more, because in CONTRADICTIONS]
    yield from table(["this", "must be less than", "or else"], rows)


def others() -> Iterator[str]:
    """The rest of our variables."""
    yield from table(["variable", "meaning"], [[f"`{each}`", OTHERS[each]] for each in OTHERS])


def _type(field: FieldInfo) -> str:
    """What it may be, with its bounds."""
    words = get_args(field.annotation)
    if words and all(isinstance(each, str) for each in words):
        return " or ".join(f"`{each}`" for each in words)
    bounds = [
        words if name == "min_length" else f"{words} {getattr(each, name)}"
        for each in field.metadata
        for name, words in _BOUNDS.items()
        if hasattr(each, name)
    ]
    return ", ".join([_TYPES[field.annotation], *bounds])


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value in ({}, ""):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def covered() -> bool:
    """Whether no variable of our prefix is forgotten."""
    return set(OTHERS) | INTERNAL == set(NOT_SETTINGS)
