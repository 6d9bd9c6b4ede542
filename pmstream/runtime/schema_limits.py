"""What a schema file must not be, though Avro might let it: a bomb, a trap, or no schema at all.

Rule: whoever checks schemas may have got them from a stranger (a branch, a registry). Each fault is
one sentence, and none takes long or much memory to find.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pmstream.runtime.schemas import (
    MAX_DECIMAL_DIGITS,
    PRIMITIVES,
    fields_of,
    kind,
    logical,
    native,
    walk,
)

MAX_SCHEMA_BYTES = 1_000_000
"""Of a file."""

MAX_SCHEMA_TYPES = 10_000
"""Types in a schema, each named one counted wherever it is used: ten records that hold the one
before ten times are ten billion."""

MAX_SCHEMA_DEPTH = 50
"""Types within each other, likewise."""

_INNER = ("type", "items", "values")


def text_of(path: Path) -> str:
    """A file's text. Raises OSError, ValueError."""
    size = path.stat().st_size
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(f"it has {size} bytes; {MAX_SCHEMA_BYTES} may be")
    return path.read_text()


def check_size(parsed: Any) -> None:
    """Refuses a schema, not expanded yet, that would be too large if it were. Raises ValueError."""
    count, depth = _Weights().of(parsed)
    if depth > MAX_SCHEMA_DEPTH:
        raise ValueError(f"types stand within each other deeper than {MAX_SCHEMA_DEPTH} times")
    if count > MAX_SCHEMA_TYPES:
        raise ValueError(
            f"it would have {count} types, each written out where it is used; {MAX_SCHEMA_TYPES} "
            "may be"
        )


class _Weights:
    """Counts the types of a schema as if each were written out, and how deep they stand."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, schema: Any) -> tuple[int, int]:
        """Types and depth. Raises RecursionError, LookupError, TypeError: it is none."""
        if isinstance(schema, str):
            return self._known.get(schema, (1, 1))
        inner = list(_inner(schema))
        name = schema.get("name") if isinstance(schema, dict) else None
        if isinstance(name, str):
            self._known[name] = (1, 1)  # a type that contains itself is refused elsewhere
        weights = [self.of(each) for each in inner]
        found = (
            1 + sum(count for count, _ in weights),
            1 + max((depth for _, depth in weights), default=0),
        )
        if isinstance(name, str):
            self._known[name] = found
        return found


def _inner(schema: Any) -> Iterator[Any]:
    if isinstance(schema, list):
        yield from schema
    elif "fields" in schema:
        yield from (each["type"] for each in schema["fields"])
    else:
        yield from (
            schema[key]
            for key in _INNER
            if key in schema and (key != "type" or schema[key] not in _COMPOSED)
        )


_COMPOSED = (*PRIMITIVES, "record", "error", "enum", "fixed", "array", "map")


def check_sense(expanded: Any) -> None:
    """Refuses what fastavro lets pass and no reader here could work with.

    Raises:
        Exception: any; its text says why.
    """
    for schema in walk(expanded):
        if isinstance(schema, list):
            if not schema or any(isinstance(each, list) for each in schema):
                raise ValueError("it has a union of nothing, or within a union")
        elif isinstance(schema, dict):
            _check_names(schema)
            _check_numbers(schema)
            if kind(schema) == "array" and _takes_no_bytes(schema["items"]):
                raise ValueError(
                    "it has an array whose items take no bytes: a record of ten bytes could hold "
                    "billions of them"
                )
        for field in fields_of(schema):
            _check_names(field)
            if "default" in field:
                _check_default(field)


def _check_names(named: Mapping[str, Any]) -> None:
    aliases = named.get("aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(each, str) for each in aliases):
        raise TypeError(f"aliases of {named.get('name')!r:.80} are no list of names")
    fields = [each["name"] for each in fields_of(named)] if "type" in named else []
    if len(set(fields)) < len(fields):
        raise ValueError(f"{named['name']} has two fields of one name")


def _check_numbers(schema: Mapping[str, Any]) -> None:
    size = schema.get("size", 0) if kind(schema) == "fixed" else 0
    if type(size) is not int or not 0 <= size <= MAX_SCHEMA_BYTES:
        raise ValueError(f"the size of {schema['name']} is none: {size!r:.80}")
    if logical(schema).endswith("-decimal"):
        digits, scale = schema.get("precision"), schema.get("scale", 0)
        if (
            type(digits) is not int
            or type(scale) is not int
            or not (0 <= scale <= digits <= MAX_DECIMAL_DIGITS and digits)
        ):
            raise ValueError(
                f"a decimal of precision {digits!r:.80} and scale {scale!r:.80} is none, or has "
                f"more than {MAX_DECIMAL_DIGITS} digits"
            )


def _check_default(field: Mapping[str, Any]) -> None:
    try:
        native(field["type"], field["default"])
    except Exception as error:
        raise ValueError(
            f"the default of field {field['name']!r:.80} is none of its type: {error}"
        ) from error


def _takes_no_bytes(schema: Any) -> bool:
    match kind(schema):
        case "null":
            return True
        case "fixed":
            return not schema["size"]
        case "record":
            return all(_takes_no_bytes(each["type"]) for each in fields_of(schema))
    return False
