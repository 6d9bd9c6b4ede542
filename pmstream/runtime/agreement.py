"""Whether an app's message types agree with its schemas: names, types, defaults, topics.

Rule: what passes here, msgspec and fastavro can carry to and fro without loss.
"""

import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any, Literal, Union

import msgspec
from msgspec import Struct

from pmstream.app import JSON, App
from pmstream.runtime.schemas import (
    TAG,
    Schema,
    checker,
    kind,
    logical,
    native,
    plain,
    records,
    scalar,
)


def is_flat(schema: Any, type_: type[Struct]) -> bool:
    """Whether fastavro's dict is already `type_`'s keyword arguments, and the other way round."""
    declared = {each.encode_name: each for each in msgspec.structs.fields(type_)}
    for each in schema["fields"]:
        field = declared[each["name"]]
        branches = each["type"] if isinstance(each["type"], list) else [each["type"]]
        scalars = {scalar(branch) for branch in branches}
        hints = set(_parts(field.type, bare=False))
        if field.name != field.encode_name or None in scalars or hints != scalars:
            return False
    return True


def compare(schema: Any, type_: type[Struct]) -> Iterator[str]:
    """Yields a sentence for each point where a message type disagrees with its schema."""
    where = f"{type_.__name__} ({schema['name']})" if isinstance(schema, dict) else type_.__name__
    if kind(schema) != "record":
        yield f"{where}: the schema is no record"
        return
    if type_.__struct_config__.omit_defaults or type_.__struct_config__.array_like:
        yield f"{where}: omit_defaults and array_like do not go with Avro, which writes all fields"
    declared = {each.encode_name: each for each in msgspec.structs.fields(type_)}
    wanted = {each["name"]: each for each in schema["fields"]}
    for name in wanted.keys() - declared.keys():
        yield f"{where}: the type lacks the field {name}"
    for name in declared.keys() - wanted.keys():
        yield f"{where}: the schema lacks the field {name}"
    for name in (name for name in wanted if name in declared):
        place = f"{where}: field {name}"
        yield from _types(wanted[name]["type"], declared[name].type, place)
        yield from _defaults(wanted[name], declared[name], place)


def _types(schema: Any, hint: Any, where: str) -> Iterator[str]:
    branches = schema if isinstance(schema, list) else [schema]
    hints = _parts(hint)
    left = list(hints)
    for branch in _distinct(branches):
        fit = next((each for each in left if _shape(each) == _wanted(branch)), None)
        if fit is None:
            yield f"{where} is {_said(hints)} in the type; the schema says {_spoken(branch)}"
            return
        left.remove(fit)
        yield from _inside(branch, fit, where)
        beside = kind(branch) == "record" and len(records(branches)) > 1
        config = fit.__struct_config__ if beside else None
        if config and (config.tag_field, config.tag) != (TAG, branch["name"]):
            yield f"{where}: {fit.__name__} stands beside other records: give it {_tag(branch)}"
    if left:
        yield f"{where} may be {_said(left)} in the type; the schema has no such branch"


def _distinct(branches: list[Any]) -> Iterator[Any]:
    """The branches without an int beside a long, a float beside a double."""
    seen: set[Any] = set()
    for branch in branches:
        plain_type = scalar(branch)
        if plain_type is None or plain_type not in seen:
            yield branch
        seen.add(plain_type)


def _tag(schema: Any) -> str:
    return f'tag_field="{TAG}", tag="{schema["name"]}"'


def _inside(schema: Any, hint: Any, where: str) -> Iterator[str]:
    match kind(schema):
        case "record":
            yield from (f"{where}: {fault}" for fault in compare(schema, hint))
        case "array":
            yield from _types(schema["items"], typing.get_args(hint)[0], f"{where}, an item,")
        case "map":
            key, value = typing.get_args(hint)
            yield from _types("string", key, f"{where}, a key,")
            yield from _types(schema["values"], value, f"{where}, a value,")
        case "enum":
            symbols = _symbols(hint)
            if symbols != set(schema["symbols"]):
                odd = sorted(symbols ^ set(schema["symbols"]), key=str)
                yield f"{where}: symbols differ: {', '.join(map(str, odd))}"


def _wanted(schema: Any) -> Any:
    return scalar(schema) or kind(schema)


def _shape(hint: Any) -> Any:
    """The kind of schema that a type hint (one branch of it) stands for."""
    origin = typing.get_origin(hint) or hint
    if origin is Literal or (isinstance(origin, type) and issubclass(origin, Enum)):
        return "enum"
    if isinstance(origin, type) and issubclass(origin, Struct):
        return "record"
    arguments = typing.get_args(hint)
    if origin is tuple:
        return "array" if len(arguments) == 2 and arguments[1] is ... else origin
    if origin in (list, Sequence) and arguments:
        return "array"
    return "map" if origin in (dict, Mapping) and arguments else origin


def _parts(hint: Any, *, bare: bool = True) -> list[Any]:
    """The branches of a type hint; `bare` without what Annotated says of them."""
    hint = getattr(hint, "__supertype__", getattr(hint, "__value__", hint))  # NewType, type X =
    if bare and typing.get_origin(hint) is Annotated:
        return _parts(hint.__origin__)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [part for each in typing.get_args(hint) for part in _parts(each, bare=bare)]
    return [types.NoneType] if hint is None else [hint]


def _symbols(hint: Any) -> set[Any]:
    if typing.get_origin(hint) is Literal:
        return set(typing.get_args(hint))
    return {each.value for each in hint}


def _said(hints: Iterable[Any]) -> str:
    return " | ".join(getattr(each, "__name__", str(each)) for each in hints)


def _spoken(schema: Any) -> str:
    name = logical(schema) or kind(schema)
    return f"{name} {schema['name']}" if name in ("record", "enum", "fixed") else name


def _defaults(schema: Any, field: msgspec.structs.FieldInfo, where: str) -> Iterator[str]:
    given: Any = None if field.default is msgspec.NODEFAULT else field.default
    if field.default_factory is not msgspec.NODEFAULT:
        given = field.default_factory()
    if field.required and "default" in schema:
        yield f"{where} has the default {schema['default']!r} in the schema, none in the type"
    elif not field.required and "default" not in schema:
        yield f"{where} has the default {given!r} in the type, none in the schema"
    elif not field.required:
        wanted = native(schema["type"], schema["default"])
        if plain(given) != plain(wanted):
            yield f"{where} has the default {wanted!r} in the schema, {given!r} in the type"


def _beyond(schema: Any, type_: type[Struct]) -> Iterator[str]:
    """What Avro and Python can express and msgspec cannot tell apart."""
    try:
        msgspec.json.Decoder(checker(schema))
        if not is_flat(schema, type_):
            msgspec.json.Decoder(type_)
    except TypeError as error:
        yield f"{type_.__name__} ({schema['name']}): {error}"


class Declared(Struct, frozen=True):
    """A topic as the app declares it, for events or commands or both.

    Attributes:
        format: one of `app.FORMATS`.
        types: message types, those of commands with their key field.
        type_header, type_field: where JSON names a message's type.
    """

    format: str
    types: dict[type[Struct], str | None]
    type_header: str = ""
    type_field: str = ""

    @property
    def is_json(self) -> bool:
        """Whether no schema is needed to read it."""
        return self.format == JSON


def declared(app: App) -> dict[str, Declared]:
    """The app's topics, events and commands together."""
    topics: dict[str, Declared] = {}
    for name, topic in (*app.events.items(), *app.commands.items()):
        before = topics.get(name)
        types = before.types if before else {}
        keys = {each: topic.keys.get(each, types.get(each)) for each in topic.types}
        topics[name] = Declared(topic.format, types | keys, topic.type_header, topic.type_field)
    return topics


def disagreements(app: App, known: Mapping[str, Schema], ids: Mapping[int, str]) -> Iterator[str]:
    """Yields a sentence for each fault between an app and its schemas.

    Args:
        app: declares topics and types.
        known: the schemas folder, by key.
        ids: registry ids to keys.
    """
    for name in app.events.keys() & app.commands.keys():
        if app.events[name].wire != app.commands[name].wire:
            yield f"topic {name} has one format for events and another for commands"
    compared: set[type] = set()
    for name, topic in declared(app).items():
        yield from _twins(name, topic)
        for each in () if topic.is_json else topic.types:  # JSON is what the Struct says
            full = _full(each)
            schema = known.get(full)
            if schema is None:
                if each not in compared:
                    yield f"{each.__name__}: {app.schemas} has no {full}.avsc"
            elif each not in compared:
                yield from list(compare(schema.expanded, each)) or _beyond(schema.expanded, each)
            if topic.format == "confluent-avro" and schema and full not in ids.values():
                yield f"topic {name}: {app.schemas / 'ids.json'} gives no id to {full}"
            compared.add(each)


def _twins(name: str, topic: Declared) -> Iterator[str]:
    seen: dict[str, type] = {}
    for each in topic.types:
        full = _full(each)
        if seen.setdefault(full, each) is not each:
            yield (
                f"topic {name}: {seen[full].__name__} and {each.__name__} both have the "
                f"schema {full}; a record of it could be either"
            )


def _full(type_: type[Struct]) -> str:
    return str(type_.__schema__)  # type: ignore[attr-defined]
