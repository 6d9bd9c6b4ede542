"""What an Avro schema is in Python: its types, its checks, its defaults, told without fastavro.

Rule: a schema here is expanded (each named type written out where it is used), as
`runtime.avro.load` hands it on.
"""

import datetime as dt
import types
from collections.abc import Iterable, Iterator, Mapping
from decimal import Context, Decimal
from typing import Annotated, Any, Literal, Union
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

PRIMITIVES: Mapping[str, type] = {
    "null": types.NoneType,
    "boolean": bool,
    "int": int,
    "long": int,
    "float": float,
    "double": float,
    "bytes": bytes,
    "string": str,
}

LOGICAL: Mapping[str, type] = {
    "long-timestamp-millis": dt.datetime,
    "long-timestamp-micros": dt.datetime,
    "long-local-timestamp-millis": dt.datetime,
    "long-local-timestamp-micros": dt.datetime,
    "int-date": dt.date,
    "int-time-millis": dt.time,
    "long-time-micros": dt.time,
    "bytes-decimal": Decimal,
    "fixed-decimal": Decimal,
    "string-uuid": UUID,
}
"""Logical types that fastavro reads and writes; any other is its underlying type (Avro's rule)."""

TAG = "-type"
"""Which record of a union a dict is: fastavro's name for it."""

NATIVE = (bytes, dt.datetime, dt.date, dt.time, Decimal, UUID)
"""Types that msgspec must take as they are, not as text."""

MAX_DECIMAL_DIGITS = 1_000
"""Precision of a decimal."""

MAX_DECIMAL_BYTES = 512
"""Of a decimal's value: room for that, and no time is lost on more. A number of a million bytes
takes Python minutes to turn into digits."""

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MIDNIGHT = dt.datetime(1970, 1, 1)  # noqa: DTZ001 - local timestamps have no zone
_RANGES = {
    "int": Meta(ge=-(2**31), le=2**31 - 1),
    "long": Meta(ge=-(2**63), le=2**63 - 1),
}


class Schema(Struct, frozen=True):
    """One `.avsc` file.

    Attributes:
        key: path below the folder, without `.avsc`: a full name, or `previous/...`.
        name: the Avro full name.
        parsed: for fastavro.
        expanded: with each named type written out, for this module.
        fingerprint: CRC-64-AVRO of the canonical form, as single-object encoding has it.
    """

    key: str
    name: str
    parsed: Any
    expanded: Any
    fingerprint: bytes


def kind(schema: Any) -> str:
    """`record`, `union`, `long` and so on; of a recursion its name."""
    if isinstance(schema, list):
        return "union"
    return str(schema["type"] if isinstance(schema, dict) else schema)


def logical(schema: Any) -> str:
    """A name of LOGICAL, or an empty string."""
    if not isinstance(schema, dict):
        return ""
    name = f"{schema['type']}-{schema.get('logicalType')}"
    return name if name in LOGICAL else ""


def scalar(schema: Any) -> type | None:
    """The Python type of a value that is no record, enum, array, map or union."""
    if name := logical(schema):
        return LOGICAL[name]
    return bytes if kind(schema) == "fixed" else PRIMITIVES.get(kind(schema))


def records(union: Iterable[Any]) -> list[str]:
    """Full names of the records in a union: more than one need tags."""
    return [each["name"] for each in union if kind(each) == "record"]


def natives(schema: Any) -> tuple[type, ...]:
    """The types of NATIVE in a schema."""
    found = {scalar(each) for each in walk(schema)}
    return tuple(each for each in NATIVE if each in found)


def checker(schema: Any, *, tagged: bool = False) -> Any:
    """A type by which msgspec checks that a value can be written; stricter than fastavro."""
    name = kind(schema)
    match name:
        case "union":
            many = len(records(schema)) > 1
            return Union[tuple(checker(each, tagged=many) for each in schema)]  # noqa: UP007
        case "record":
            fields = [
                (f"f{index}", checker(each["type"]), msgspec.field(name=each["name"]))
                for index, each in enumerate(schema["fields"])
            ]
            tag: Any = {"tag_field": TAG, "tag": schema["name"]} if tagged else {}
            return msgspec.defstruct("Checked", fields, gc=False, **tag)
        case "enum":
            return Literal[tuple(schema["symbols"])]
        case "array":
            return list[checker(schema["items"])]  # type: ignore[misc]
        case "map":
            return dict[str, checker(schema["values"])]  # type: ignore[misc]
        case "fixed" if not logical(schema):
            return Annotated[bytes, Meta(min_length=schema["size"], max_length=schema["size"])]
    plain = scalar(schema)
    if plain in (dt.datetime, dt.time):
        return Annotated[plain, Meta(tz="-timestamp-" in logical(schema) and not _local(schema))]
    return Annotated[plain, _RANGES[name]] if plain is int else plain


def _local(schema: Any) -> bool:
    return "-local-" in logical(schema)


def native(schema: Any, value: Any, named: Mapping[str, Any] | None = None) -> Any:
    """A default as Avro's JSON writes it, turned into what fastavro would read.

    Args:
        schema: the field's schema; with `named`, types may be referred to by name.
        value: the default.
        named: the named types of an unexpanded schema.
    """
    if isinstance(schema, str) and named and schema in named:
        schema = named[schema]
    if isinstance(schema, list):
        fitting = [each for each in schema if (kind(each) == "null") == (value is None)]
        return native(fitting[0], value, named) if fitting else value
    match kind(schema):
        case "record":
            given = {each["name"]: each for each in schema["fields"]}
            return {
                name: native(each["type"], value.get(name, each.get("default")), named)
                for name, each in given.items()
            }
        case "array":
            return [native(schema["items"], each, named) for each in value]
        case "map":
            return {name: native(schema["values"], each, named) for name, each in value.items()}
        case "float" | "double":
            return float(value)
        case "bytes" | "fixed":
            raw = value.encode("latin-1")
            return decimal(raw, schema) if logical(schema) else raw
    return _moment(logical(schema), value)


def decimal(raw: bytes, schema: Any, _reader: Any = None) -> Decimal:
    """The number in the bytes of a decimal; rounded to its precision, as fastavro does.

    Raises:
        ValueError: they are too many.
    """
    if len(raw) > MAX_DECIMAL_BYTES:
        raise ValueError(f"a decimal of {len(raw)} bytes; {MAX_DECIMAL_BYTES} may be")
    context = Context(prec=schema["precision"])
    number = context.create_decimal(int.from_bytes(raw, "big", signed=True))
    return number.scaleb(-schema.get("scale", 0), context)


def _moment(name: str, value: Any) -> Any:
    start = _MIDNIGHT if "-local-" in name else _EPOCH
    match name.rsplit("-", 1)[-1]:
        case "uuid":
            return UUID(value)
        case "date":
            return (_MIDNIGHT + dt.timedelta(days=value)).date()
        case "millis":
            moment = start + dt.timedelta(milliseconds=value)
            return moment.time() if "-time-" in name else moment
        case "micros":
            moment = start + dt.timedelta(microseconds=value)
            return moment.time() if "-time-" in name else moment
    return value


def plain(value: Any) -> Any:
    """A value as dicts, lists and scalars, to be compared."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value if isinstance(value, NATIVE) else _builtin(value)


def _builtin(value: Any) -> Any:
    """A Struct or an Enum, taken apart by one layer or more."""
    apart = msgspec.to_builtins(value, builtin_types=NATIVE)
    return plain(apart) if isinstance(apart, list | tuple | dict) else apart


def walk(schema: Any) -> Iterator[Any]:
    """Yields a schema and all within it, outer before inner."""
    yield schema
    match kind(schema):
        case "union":
            inner = schema
        case "array" | "map":
            inner = [schema.get("items", schema.get("values"))]
        case _:
            inner = [each["type"] for each in fields_of(schema)]
    for each in inner:
        yield from walk(each)


def fields_of(schema: Any) -> list[dict[str, Any]]:
    """A record's fields; of anything else none."""
    return schema["fields"] if kind(schema) == "record" and isinstance(schema, dict) else []


def recursion(schema: Any) -> str:
    """The name of a type that contains itself, or an empty string."""
    names = (each for each in walk(schema) if isinstance(each, str) and each not in PRIMITIVES)
    return next(names, "")
