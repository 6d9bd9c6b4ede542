"""Where settings come from beside arguments: variables, a TOML file, secret files in a folder.

Each source answers plain values; names with values (`kafka`, `app`) as flat names, values as text.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PREFIX = "PMSTREAM_"
CONFIG, SECRETS_DIR = "PMSTREAM_CONFIG", "PMSTREAM_SECRETS_DIR"
DEFAULT_FILE = Path("pmstream.toml")

NESTED = {"kafka": "Kafka property", "app": "app value"}
"""Settings that are names with values, and what one of them is called."""


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same with `kafka` and `app` as names with dots, values as librdkafka writes them."""
    found = dict(values)
    for field in NESTED:
        if isinstance(found.get(field), dict):
            found[field] = {
                name.lower() if field == "app" else name: value
                for name, value in _leaves(found[field])
            }
    return found


def verbatim(values: dict[str, Any]) -> dict[str, Any]:
    """Nested variables as they were written: the library reads 1.10 as the number 1.1."""
    for variable, value in os.environ.items():
        prefix, name = variable[: len(PREFIX)].upper(), variable[len(PREFIX) :].lower()
        field, *inner = name.split("__")
        if prefix == PREFIX and field in NESTED and inner and value:
            values.setdefault(field, {})[".".join(inner)] = value
    return values


def _leaves(nested: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        else:
            plain = isinstance(value, bool | int | float)
            yield above + name, str(value).lower() if plain else value


def file() -> dict[str, Any]:
    """What the TOML file says; {} when there is none. Raises OSError, TOMLDecodeError."""
    named = os.environ.get(CONFIG)
    path = Path(named) if named else DEFAULT_FILE
    if not named and not path.is_file():
        return {}
    with path.open("rb") as opened:
        return tomllib.load(opened)


def secrets() -> dict[str, Any]:
    """Files named like variables; others in the folder (certificates) are left alone."""
    folder = os.environ.get(SECRETS_DIR)
    found: dict[str, Any] = {}
    for path in sorted(Path(folder).iterdir()) if folder else ():
        if not path.name.upper().startswith(PREFIX):
            continue
        name, *inner = path.name[len(PREFIX) :].lower().split("__")
        text = path.read_text().strip()
        if inner:
            found.setdefault(name, {})[".".join(inner)] = text
        else:
            found[name] = text
    return found
