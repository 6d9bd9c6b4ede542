"""How a reader's schema takes what another schema wrote, and where it cannot (Avro's resolution).

Rule: all is decided once for a pair of schemas; what is left for each record is one function.

Why not the library's: it resolves anew for each record, forgets which record of a union it read
when the writer had no such union, and knows the writer's logical types only.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from msgspec import Struct

from pmstream.runtime.schemas import PRIMITIVES, TAG, kind, logical, native, records, scalar

Change = Callable[[Any], Any]
"""Turns a value as the writer's schema has it, logical types left as numbers, into the reader's."""

PROMOTIONS: dict[str, dict[str, Change | None]] = {
    "int": {"long": None, "float": float, "double": float},
    "long": {"float": float, "double": float},
    "float": {"double": None},
    "string": {"bytes": str.encode},
    "bytes": {"string": bytes.decode},
}
"""What a scalar may be read as beside itself."""

FAULTS: dict[str, tuple[str, str]] = {
    # kind: what is said when today's reader fails at an older record, and the other way round
    "missing": ("is new and has no default", "is gone and had no default"),
    "type": ("was {writer}, which {reader} cannot read", "is {writer}, which {reader} cannot read"),
    "unit": ("was {writer} and is {reader}: numbers change their meaning",) * 2,
    "symbols": (
        "can no more be {writer}, and the enum has no default",
        "can be {writer}, which old readers do not know and have no default for",
    ),
    "branch": ("can no more be {writer}", "can be {writer}, which old readers do not know"),
    "name": (
        "was {writer} and is {reader}, which lacks the alias",
        "is {writer}, which old readers know as {reader}",
    ),
    "size": ("was {writer} and is {reader} bytes long", "is {writer} and was {reader} bytes long"),
}
PARTIAL = {"unit", "symbols", "branch"}
"""Faults that spoil some values only, or none in Python."""

_NAMED = ("record", "enum", "fixed")
_AT_ONCE = {"type", "name", "size"}


class Misfit(Struct, frozen=True):
    """A point where a reader cannot take what a writer may have written.

    Attributes:
        kind: a key of FAULTS.
        path: the field, with `[]` for items and `{}` for values; empty for the record itself.
        writer, reader: what each has there.
    """

    kind: str
    path: str
    writer: str = ""
    reader: str = ""

    def said(self, *, forward: bool = False) -> str:
        """What is wrong; `forward` if it is the older schema that reads."""
        return FAULTS[self.kind][forward].format(writer=self.writer, reader=self.reader)


def resolve(writer: Any, reader: Any) -> tuple[Change, list[Misfit]]:
    """How `reader` takes what `writer` wrote. Both are expanded.

    A field that only the reader has is left out: the message type's own default fills it.
    """
    faults: list[Misfit] = []
    change = _resolve(writer, reader, "", faults)
    return change or _same, faults


def same_name(writer: Any, reader: Any) -> bool:
    """Whether a named type is the other one, by its name without namespace or by an alias."""
    name: str = writer["name"]
    return _short(name) == _short(reader["name"]) or name in aliases(reader)


def aliases(schema: Any) -> list[str]:
    """A named type's other names, in full."""
    space = schema["name"].rpartition(".")[0]
    return [
        each if "." in each or not space else f"{space}.{each}"
        for each in schema.get("aliases", ())
    ]


def spoken(schema: Any) -> str:
    """A schema in a few words."""
    if kind(schema) == "union":
        return " | ".join(spoken(each) for each in schema)
    name = logical(schema) or kind(schema)
    return f"{name} {schema['name']}" if name in _NAMED else name


def _same(value: Any) -> Any:
    return value


def _resolve(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    """None is: the value stays as it is."""
    if kind(writer) == "union":
        return _from_union(writer, reader, path, faults)
    if kind(reader) == "union":
        return _into_union(writer, reader, path, faults)
    if kind(writer) == kind(reader) and kind(reader) in _INSIDE:
        return _INSIDE[kind(reader)](writer, reader, path, faults)
    return _scalar(writer, reader, path, faults)


def _scalar(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    before, after = logical(writer), logical(reader)
    promoted = PROMOTIONS.get(kind(writer), {})
    apart = before and after and scalar(writer) is not scalar(reader)
    if apart or (kind(writer) != kind(reader) and kind(reader) not in promoted):
        faults.append(Misfit("type", path, spoken(writer), spoken(reader)))
        return None
    if before and after and _unit(writer) != _unit(reader):
        faults.append(Misfit("unit", path, _unit(writer), _unit(reader)))
    step = promoted.get(kind(reader))
    if not after:
        return step
    meant = partial(_logical, writer if before else reader)
    return meant if step is None else lambda value: meant(step(value))


def _unit(schema: Any) -> str:
    scale = f" of scale {schema.get('scale', 0)}" if logical(schema).endswith("decimal") else ""
    return f"{logical(schema)}{scale}"


def _logical(schema: Any, raw: Any) -> Any:
    """A default's JSON has bytes as text of their code points."""
    return native(schema, raw.decode("latin-1") if isinstance(raw, bytes) else raw)


def _fixed(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    _check_name(writer, reader, path, faults)
    if writer["size"] != reader["size"]:
        faults.append(Misfit("size", path, str(writer["size"]), str(reader["size"])))
    return _scalar(writer, reader, path, faults)


def _check_name(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> None:
    if not same_name(writer, reader):
        faults.append(Misfit("name", path, spoken(writer), spoken(reader)))


def _record(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    _check_name(writer, reader, path, faults)
    written = {each["name"]: each["type"] for each in writer["fields"]}
    plan: list[tuple[str, str, Change | None]] = []
    for field in reader["fields"]:
        name = field["name"]
        place = f"{path}.{name}" if path else name
        found = next((each for each in (name, *field.get("aliases", ())) if each in written), None)
        if found is not None:
            plan.append((found, name, _resolve(written[found], field["type"], place, faults)))
        elif "default" not in field:
            faults.append(Misfit("missing", place))
    if [(found, None) for found in written] == [(name, change) for _, name, change in plan]:
        return None

    def change(value: Any) -> Any:
        return {
            name: value[found] if change is None else change(value[found])
            for found, name, change in plan
        }

    return change


def _enum(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    _check_name(writer, reader, path, faults)
    symbols, default = frozenset(reader["symbols"]), reader.get("default")
    lost = [each for each in writer["symbols"] if each not in symbols]
    if lost and default is None:
        faults.append(Misfit("symbols", path, ", ".join(lost)))
    if not lost or default is None:
        return None  # the message type refuses a symbol that it does not have
    return lambda value: value if value in symbols else default


def _array(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    change = _resolve(writer["items"], reader["items"], f"{path}[]", faults)
    return change and (lambda value: [change(each) for each in value])


def _map(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    change = _resolve(writer["values"], reader["values"], f"{path}{{}}", faults)
    return change and (lambda value: {key: change(each) for key, each in value.items()})


_INSIDE: dict[str, Callable[[Any, Any, str, list[Misfit]], Change | None]] = {
    "record": _record,
    "enum": _enum,
    "array": _array,
    "map": _map,
    "fixed": _fixed,
}
_PYTHON: dict[str, type] = {**PRIMITIVES, "array": list, "map": dict}


def _from_union(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    """By the branch that was written: named types come as a pair with their name."""
    table: dict[Any, Change | None] = {}
    for branch in writer:
        inner: list[Misfit] = []
        change = _resolve(branch, reader, path, inner)
        if any(each.path == path and each.kind in _AT_ONCE for each in inner):
            inner = [Misfit("branch", path, spoken(branch))]
            change = partial(_refuse, f"{spoken(branch)} is not {spoken(reader)}")
        faults.extend(inner)
        table[branch["name"] if kind(branch) in _NAMED else _PYTHON[kind(branch)]] = change
    if not any(table.values()) and not any(isinstance(each, str) for each in table):
        return None

    def change_branch(value: Any) -> Any:
        key, inside = value if type(value) is tuple else (type(value), value)
        change = table[key]
        return inside if change is None else change(inside)

    return change_branch


def _refuse(why: str, _value: Any) -> None:
    raise ValueError(why)


def _into_union(writer: Any, reader: Any, path: str, faults: list[Misfit]) -> Change | None:
    """By the branch that is most alike, else the first that can read it."""
    for branch in sorted(reader, key=lambda each: _alike(writer, each), reverse=True):
        inner: list[Misfit] = []
        change = _resolve(writer, branch, path, inner)
        if _alike(writer, branch) or not inner:
            faults.extend(inner)
            return _tag(change, branch["name"]) if _needs_tag(branch, reader) else change
    faults.append(Misfit("type", path, spoken(writer), spoken(reader)))
    return None


def _alike(writer: Any, reader: Any) -> int:
    """0 is not, 2 is by its full name."""
    if kind(writer) != kind(reader):
        return 0
    if kind(reader) not in _NAMED or writer["name"] == reader["name"]:
        return 2
    return int(same_name(writer, reader))


def _needs_tag(branch: Any, union: Iterable[Any]) -> bool:
    return kind(branch) == "record" and len(records(union)) > 1


def _tag(change: Change | None, name: str) -> Change:
    return lambda value: (value if change is None else change(value)) | {TAG: name}


def _short(name: str) -> str:
    return name.rpartition(".")[2]
