"""Avro records of plain fields, read and written by functions that are made for their schema.

Rule: a short cut, never a second opinion. Whatever is not plainly right (another type, a number out
of range, bytes that end early) goes the long way, through fastavro, which judges it.

There are two of them, which tests hold to be alike: compiled (`_flat.c`, in wheels that were built
where there is a C compiler), and Python, made by the source's own words. PMSTREAM_PURE_PYTHON=1
leaves the compiled one out. `python -m bench.path` measures both beside fastavro.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from pmstream.runtime.compiled import TWINS

Fields = Sequence[tuple[str, str]]
"""Names and Avro types, in the schema's order."""

QuickRead = Callable[[bytes], Any]
"""A message from a whole record's bytes; None when the long way has to judge them."""

Write = Callable[[Any], bytes]

_LENGTHS = {"string": 0, "bytes": 0}
_BITS = {"int": 31, "long": 63}
_TYPES = {"string": "str", "bytes": "bytes", "int": "int", "long": "int", "boolean": "bool"}
_TYPES["double"] = "float"
_LETTERS = {"string": "s", "bytes": "b", "int": "i", "long": "l", "boolean": "?"}
_LETTERS["double"] = "d"
_SMALL = 8_192


def plain_fields(schema: Any) -> Fields | None:
    """The fields of a record whose every field is of a plain type; None of any other."""
    fields = [(each["name"], each["type"]) for each in schema["fields"]]
    is_plain = all(isinstance(type_, str) and type_ in _TYPES for _, type_ in fields)
    return fields if is_plain and fields else None


def quick_writer(fields: Fields, prefix: bytes, slowly: Write) -> Write:
    """Makes the function that writes records of these fields behind a prefix."""
    if TWINS is None:
        return python_writer(fields, prefix, slowly)
    made: Write = TWINS.writer(*_plan(fields), prefix, slowly)
    return made


def quick_reader(fields: Fields, start: int, type_: type[Struct]) -> QuickRead:
    """Makes the function that reads records of these fields, `start` bytes into their values."""
    if TWINS is None:
        return python_reader(fields, start, type_)
    made: QuickRead = TWINS.reader(*_plan(fields), start, type_)
    return made


def _plan(fields: Fields) -> tuple[tuple[str, ...], bytes]:
    names, types = zip(*fields, strict=True)
    # Interned, as the names of a type's attributes are: they are found by identity.
    return tuple(map(sys.intern, names)), "".join(map(_LETTERS.__getitem__, types)).encode()


def python_writer(fields: Fields, prefix: bytes, slowly: Write) -> Write:
    """`quick_writer` in Python."""
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


def python_reader(fields: Fields, start: int, type_: type[Struct]) -> QuickRead:
    """`quick_reader` in Python."""
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
    if left < _PAIR:
        return _LAST[left]
    if left < _PAIR**2:
        return _PAIRS[left & _MASK] + _LAST[left >> 14]
    if left < _PAIR**4:  # a time in microseconds takes eight bytes
        found = _PAIRS[left & _MASK] + _PAIRS[left >> 14 & _MASK]
        rest = left >> 28
        return found + (_LAST[rest] if rest < _PAIR else _PAIRS[rest & _MASK] + _LAST[rest >> 14])
    return b"".join(_PAIRS[left >> at & _MASK] for at in range(0, 56, 14)) + _LAST[left >> 56]


_PAIR, _MASK = 1 << 14, (1 << 14) - 1
_PAIRS = [bytes((pair & 127 | 128, pair >> 7 | 128)) for pair in range(_PAIR)]
"""Two bytes of a longer number, the lower first."""
_LAST = [bytes((n,)) if n < 128 else bytes((n & 127 | 128, n >> 7)) for n in range(_PAIR)]
"""The last one or two bytes."""


def _read_varint(value: bytes, at: int, first: int) -> tuple[int, int]:
    """Reads on behind two bytes that go on, the second of which stands at `at`."""
    byte = value[at + 1]
    if byte < 128:
        return first & 127 | (value[at] & 127) << 7 | byte << 14, at + 2
    if at + 8 <= len(value):
        a, b, c, d = _FOUR_PAIRS(value, at)
        if b & c & 0x8080 == 0x8080 and not d & 0x80:  # eight bytes: a time in microseconds
            rest = _BITS_OF[a] | _BITS_OF[b] << 14 | _BITS_OF[c] << 28 | (d & 127) << 42
            return first & 127 | rest << 7, at + 7
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


_MOST_SHIFT = 56
_FOUR_PAIRS = struct.Struct("<4H").unpack_from
_BITS_OF = array("H", (pair & 127 | (pair >> 8 & 127) << 7 for pair in range(1 << 16)))
"""The fourteen bits of two bytes."""

_SMALLS = [_varint(number) for number in range(_SMALL)]
