"""Avro records of plain fields, read and written by functions that are made for their schema.

Rule: a short cut, never a second opinion. Whatever is not plainly right (another type, a number out
of range, bytes that end early) goes the long way, through fastavro, which judges it.

`python -m bench.path` measures it beside fastavro; figures are in docs/performance.md.
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

Fields = Sequence[tuple[str, str]]
"""Names and Avro types, in the schema's order."""

QuickRead = Callable[[bytes], Any]
"""A message from a whole record's bytes; None when the long way has to judge them."""

Write = Callable[[Any], bytes]

_LENGTHS = {"string": 0, "bytes": 0}
_BITS = {"int": 31, "long": 63}
_TYPES = {"string": "str", "bytes": "bytes", "int": "int", "long": "int", "boolean": "bool"}
_TYPES["double"] = "float"
_SMALL = 8_192
_MOST_SHIFT = 56


def plain_fields(schema: Any) -> Fields | None:
    """The fields of a record whose every field is of a plain type; None of any other."""
    fields = [(each["name"], each["type"]) for each in schema["fields"]]
    is_plain = all(isinstance(type_, str) and type_ in _TYPES for _, type_ in fields)
    return fields if is_plain and fields else None


def quick_writer(fields: Fields, prefix: bytes, slowly: Write) -> Write:
    """Makes the function that writes records of these fields behind a prefix."""
    lines = ["def write(message):", "    try:"]
    checks, parts = [], ["prefix"]
    for number, (name, type_) in enumerate(fields):
        lines.append(f"        f{number} = message.{name}")
        checks.append(f"type(f{number}) is {_TYPES[type_]}")
    lines.append(f"        if not ({' and '.join(checks)}): return slowly(message)")
    for number, (_, type_) in enumerate(fields):
        f = f"f{number}"
        if type_ in _LENGTHS:
            if type_ == "string":
                lines.append(f"        {f} = {f}.encode()")
            lines.append(f"        n{number} = len({f})")
            parts += [f"small[n{number}] if n{number} < {_SMALL} else varint(n{number})", f]
        elif type_ in _BITS:
            bound = 1 << _BITS[type_]
            lines.append(f"        if not -{bound} <= {f} < {bound}: return slowly(message)")
            parts.append(f"small[{f}] if 0 <= {f} < {_SMALL} else varint({f})")
        elif type_ == "double":
            parts.append(f"double({f})")
        else:
            parts.append(f"b'\\1' if {f} else b'\\0'")
    lines += [f"        return join(({', '.join(parts)}))"]
    lines += ["    except Exception:", "        return slowly(message)"]
    given = {"prefix": prefix, "slowly": slowly, "join": b"".join, "varint": _varint}
    made = _made(lines, {**given, "small": _SMALLS, "double": struct.Struct("<d").pack})
    write: Write = made["write"]
    return write


def quick_reader(fields: Fields, start: int, type_: type[Struct]) -> QuickRead:
    """Makes the function that reads records of these fields, `start` bytes into their values."""
    lines = ["def read(value):", "    try:", f"        at = {start}"]
    for number, (_, kind) in enumerate(fields):
        f = f"f{number}"
        if kind == "double":
            lines += [f"        {f}, = double(value, at)", "        at += 8"]
        elif kind == "boolean":
            lines += [f"        {f} = flags[value[at]]", "        at += 1"]
        else:
            lines += ["        n = value[at]", "        at += 1"]
            lines += ["        if n > 127:"]
            lines += ["            if value[at] < 128: n, at = n + (value[at] << 7) - 128, at + 1"]
            lines += ["            else: n, at = varint(value, at, n)"]
            if kind in _BITS:
                lines.append(f"        {f} = n >> 1 ^ -(n & 1)")
            else:
                text = ".decode()" if kind == "string" else ""
                lines += ["        if n & 1: return None", "        end = at + (n >> 1)"]
                lines += [f"        {f} = value[at:end]{text}", "        at = end"]
    given = ", ".join(f"{name}=f{number}" for number, (name, _) in enumerate(fields))
    lines += ["        if at != len(value): return None", f"        return type_({given})"]
    lines += ["    except Exception:", "        return None"]
    double = struct.Struct("<d").unpack_from
    more = {"double": double, "varint": _read_varint, "flags": (False, True), "type_": type_}
    read: QuickRead = _made(lines, more)["read"]
    return read


def _made(lines: Sequence[str], names: dict[str, Any]) -> dict[str, Any]:
    # Names of Avro fields are identifiers, and those of attributes here: `is_flat` saw to it.
    exec("\n".join(lines), names)
    return names


def _varint(number: int) -> bytes:
    left = (number << 1) ^ (number >> 63)
    found = b""
    while left > _PAIR_MASK:
        found += _PAIRS[left & _PAIR_MASK]
        left >>= 14
    if left > 127:
        return found + bytes((left & 127 | 128, left >> 7))
    return found + bytes((left,))


_PAIR_MASK = (1 << 14) - 1
_PAIRS = [bytes((pair & 127 | 128, pair >> 7 | 128)) for pair in range(_PAIR_MASK + 1)]
"""Two bytes of a longer number, the lower first."""


def _read_varint(value: bytes, at: int, first: int) -> tuple[int, int]:
    found, shift = first & 127, 7
    while True:
        byte = value[at]
        at += 1
        found |= (byte & 127) << shift
        if byte < 128:
            return found, at
        shift += 7
        if shift > _MOST_SHIFT:  # more than nine bytes: not here
            raise ValueError


_SMALLS = [_varint(number) for number in range(_SMALL)]
