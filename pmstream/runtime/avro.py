"""Reads `.avsc` files, and Avro bodies into messages and back (only door to fastavro).

Rule: what an older writer's schema needs, how fields are checked and which way is the fast one is
decided once for each schema, never for each record.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from fastavro.read import LOGICAL_READERS
from fastavro.schema import (
    expand_schema,
    fingerprint,
    load_schema,
    to_parsing_canonical_form,
)
from msgspec import Struct

from pmstream.runtime.agreement import is_flat
from pmstream.runtime.flat import QuickRead, plain_fields, quick_reader, quick_writer
from pmstream.runtime.resolution import PARTIAL, aliases, resolve
from pmstream.runtime.schema_limits import check_sense, check_size, text_of
from pmstream.runtime.schemas import (
    NATIVE,
    TAG,
    Schema,
    checker,
    decimal,
    kind,
    natives,
    records,
    recursion,
    walk,
)
from pmstream.runtime.wire import misfit

Read = Callable[[BytesIO], Any]
"""Takes one message from a stream of bytes; damaged ones raise any exception."""

Write = Callable[[Any], bytes]
"""A message's bytes; raises any exception at a field that does not fit its schema."""


def load(folder: Path) -> tuple[dict[str, Schema], list[str]]:
    """Reads a folder of schemas and its `previous/`, which today's must be able to read.

    Returns:
        The schemas by key, and a sentence for each file that is at fault.
    """
    known, faults = schemas_in(folder)
    return known, [*faults, *_unresolvable(folder, known)]


def schemas_in(folder: Path) -> tuple[dict[str, Schema], list[str]]:
    """Reads a folder of schemas and its `previous/`, each by itself.

    Returns:
        The schemas by key, and a sentence for each file that cannot be read.
    """
    if not folder.is_dir():
        return {}, [f"{folder} is no folder; schemas=... of the App names the one with .avsc files"]
    known: dict[str, Schema] = {}
    faults: list[str] = []
    for path in sorted((*folder.glob("*.avsc"), *folder.glob("previous/*.avsc"))):
        try:
            schema = _load(folder, path)
        except Exception as error:  # noqa: BLE001 - fastavro raises any of a dozen at a stranger's file
            faults.append(f"{path}: not an Avro schema: {_line(error)}")
            continue
        if name := recursion(schema.expanded):
            faults.append(f"{path}: {name} contains itself; such schemas are not supported")
        elif path.parent == folder and path.stem != schema.name:
            faults.append(f"{path}: holds {schema.name}; name the file {schema.name}.avsc")
        else:
            known[schema.key] = schema
    return known, faults


def _load(folder: Path, path: Path) -> Schema:
    raw = json.loads(text_of(path))
    if not isinstance(raw, dict):
        raise TypeError("it is no record")
    if marks := [name for name in raw if name.startswith("__")]:
        raise ValueError(f"it has {marks[0]!r:.80}, by which fastavro would believe it unread")
    parsed: Any = load_schema(str(path)) if path.parent == folder else parse_schema(raw)
    check_size(parsed)
    expanded = expand_schema(parsed)
    check_sense(expanded)
    crc = fingerprint(to_parsing_canonical_form(parsed), "CRC-64-AVRO")
    key = path.relative_to(folder).with_name(path.stem).as_posix()
    return Schema(key, parsed["name"], parsed, expanded, bytes.fromhex(crc))


def _unresolvable(folder: Path, known: dict[str, Schema]) -> Iterator[str]:
    heirs = successors(known)
    for old in known.values():
        if old.name not in heirs or old.key == old.name:
            continue
        new = known[heirs[old.name]]
        for fault in resolve(old.expanded, new.expanded)[1]:
            if fault.kind not in PARTIAL:
                place = f"field {fault.path} " if fault.path else "it "
                path = folder / f"{old.key}.avsc"
                yield f"{path}: today's {new.name} cannot read it: {place}{fault.said()}"


def successors(known: Mapping[str, Schema]) -> dict[str, str]:
    """The name of a record, today's or an older one, to today's: itself or who has it as alias."""
    today = [each for each in known.values() if each.key == each.name]
    older = {alias: each.name for each in today for alias in aliases(each.expanded)}
    return older | {each.name: each.name for each in today}


def reader(written: Schema, wanted: Schema, type_: type[Struct]) -> Read:
    """Makes the function that reads what `written` wrote as a `type_` of schema `wanted`."""
    dropped = frozenset() if written is wanted else _dropped(written, wanted)
    if dropped is None:
        return _resolving(written, wanted, type_)
    source = _bounded(written)
    unions = (each for each in walk(wanted.expanded) if kind(each) == "union")
    tagged = any(len(records(each)) > 1 for each in unions)
    flat = is_flat(wanted.expanded, type_)
    if flat and not dropped:
        # Positional: keywords cost a tenth of a microsecond and more.
        return lambda stream: type_(**schemaless_reader(stream, source, None))  # type: ignore[arg-type]
    options: Any = {"return_record_name": tagged, "return_record_name_override": tagged}
    convert = _converting(wanted)

    def read(stream: BytesIO) -> Any:
        fields: Any = schemaless_reader(stream, source, None, **options)
        for name in dropped:
            del fields[name]
        if flat:
            return type_(**fields)
        return convert(_tagged(fields) if tagged else fields, type_)

    return read


LOGICAL_READERS["bytes-pmstream-decimal"] = LOGICAL_READERS["fixed-pmstream-decimal"] = decimal


def _bounded(schema: Schema) -> Any:
    """The schema for fastavro, its decimals read by ours: its own takes bytes without limit."""
    if Decimal not in natives(schema.expanded):
        return schema.parsed
    return parse_schema(_renamed(schema.parsed))


def _renamed(schema: Any) -> Any:
    if isinstance(schema, dict):
        gone = ("__named_schemas", "__fastavro_parsed__")
        found = {key: _renamed(each) for key, each in schema.items() if key not in gone}
        if found.get("logicalType") == "decimal":
            found["logicalType"] = "pmstream-decimal"
        return found
    return [_renamed(each) for each in schema] if isinstance(schema, list) else schema


def _resolving(written: Schema, wanted: Schema, type_: type[Struct]) -> Read:
    change, _ = resolve(written.expanded, wanted.expanded)
    raw, convert = parse_schema(_raw(written.parsed)), _converting(wanted)
    options: Any = {"return_named_type": True}

    def read(stream: BytesIO) -> Any:
        return convert(change(schemaless_reader(stream, raw, None, **options)), type_)

    return read


def _raw(schema: Any) -> Any:
    """The schema without logical types: what they mean depends on the reader, too."""
    if isinstance(schema, dict):
        gone = ("logicalType", "__named_schemas", "__fastavro_parsed__")
        return {key: _raw(each) for key, each in schema.items() if key not in gone}
    return [_raw(each) for each in schema] if isinstance(schema, list) else schema


def _converting(schema: Schema) -> Callable[[Any, Any], Any]:
    """Convert, with the option that doubles its cost only where the schema needs it."""
    exact = natives(schema.expanded)
    return partial(msgspec.convert, builtin_types=exact) if exact else msgspec.convert


def _dropped(old: Schema, new: Schema) -> frozenset[str] | None:
    """Fields that a reader of `new` drops from `old`; None where more must be resolved.

    Where no field changed its type it is enough to drop what is gone: `agreement` saw to it that
    the type's defaults, which fill what is new, are the schema's.
    """
    before = {each["name"]: each["type"] for each in old.expanded["fields"]}
    after = {each["name"]: each["type"] for each in new.expanded["fields"]}
    same = all(before[name] == after[name] for name in before.keys() & after.keys())
    renamed = any("aliases" in each for each in new.expanded["fields"])
    return frozenset(before.keys() - after.keys()) if same and not renamed else None


def _tagged(value: Any) -> Any:
    """Names of records in unions, which fastavro gives as a pair, written into the record."""
    if isinstance(value, tuple):
        return _tagged(value[1]) | {TAG: value[0]}
    if isinstance(value, dict):
        return {name: _tagged(each) for name, each in value.items()}
    return [_tagged(each) for each in value] if isinstance(value, list) else value


def writer(schema: Schema, type_: type[Struct], prefix: bytes) -> Write:
    """Makes the function that writes `type_`, checked, behind a prefix.

    fastavro alone lets pass: bool as int, 1.7 as 1, an int of 64 bits as one of 32, any object
    as boolean, "5" as 5.0, bytes that are no UUID, datetimes without a zone.
    """
    parsed, check, convert = schema.parsed, checker(schema.expanded), _converting(schema)
    flat = is_flat(schema.expanded, type_)
    # Deterministic: a set where an array is asked for must not differ from run to run.
    builtins = partial(msgspec.to_builtins, builtin_types=NATIVE, order="deterministic")
    view: Callable[[Any], Any] = msgspec.structs.asdict if flat else builtins

    def write(message: Any) -> bytes:
        fields = view(message)
        convert(fields, check)
        if not flat:
            convert(fields, type_)  # what Annotated asks of it
        stream = BytesIO()
        schemaless_writer(stream, parsed, fields, disable_tuple_notation=True)
        return prefix + stream.getvalue()

    plain = plain_fields(parsed) if flat else None
    return write if plain is None else quick_writer(plain, prefix, write)


def short_cut(written: Schema, wanted: Schema, type_: type[Struct], start: int) -> QuickRead | None:
    """The quick way to what `reader` reads, `start` bytes into a value; None when there is none."""
    same = written is wanted or _dropped(written, wanted) == frozenset()
    plain = plain_fields(written.parsed) if same and is_flat(wanted.expanded, type_) else None
    return None if plain is None else quick_reader(plain, start, type_)


def blame(schema: Schema, message: Struct, error: Exception) -> str:
    """Says which field of a message `writer` could not write, and why."""
    if place := misfit(error):
        return place
    values = {each.encode_name: each.name for each in msgspec.structs.fields(message)}
    for field in schema.parsed["fields"]:
        try:
            value = getattr(message, values[field["name"]])
            value = msgspec.to_builtins(value, builtin_types=NATIVE)
            probe: Any = {"type": "record", "name": "pmstream.Probe", "fields": [field]}
            named = dict(schema.parsed["__named_schemas"])
            alone = parse_schema(probe, named)
            schemaless_writer(BytesIO(), alone, {field["name"]: value}, disable_tuple_notation=True)
        except Exception as reason:  # noqa: BLE001 - whatever it is, it names the field
            return f"field {field['name']}: {_line(reason)}"
    return _line(error)


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if isinstance(error, LookupError) or not text else text
