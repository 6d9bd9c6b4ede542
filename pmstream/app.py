"""App: topics, message types and process managers, checked whole."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core import definition, messages
from pmstream.core.process import LEGAL_NAME, ProcessManager
from pmstream.errors import ConfigurationError
from pmstream.telemetry import Listener

JSON = "json"
FORMATS = ("avro", "confluent-avro", JSON)
"""Wire formats of a topic: Avro single-object encoding, the registry's framing, or JSON."""

MAX_TYPE_NAME = 255
"""The longest name of a type in a JSON topic, in characters."""

_OWN_HEADERS = {messages.CAUSATION_ID, messages.COMMAND_ID, messages.CORRELATION_ID}
_OWN_HEADERS |= {messages.EVENT_ID, messages.PROCESS_MANAGER, messages.PROCESS_UUID}
_OWN_HEADERS |= {messages.REPLY_PARTITION, messages.REPLY_TO, "traceparent"}


class Topic:
    """A topic whose messages are not in the default format.

    Args:
        types: event types; for a command topic a mapping of type to key field.
        format: one of FORMATS.
        type_header: of JSON, the header that names a message's type.
        type_field: of JSON, the field of the object that does, if no header does.
    """

    def __init__(
        self,
        types: Iterable[type[Struct]] | Mapping[type[Struct], str],
        format: str = "avro",
        *,
        type_header: str = "",
        type_field: str = "",
    ) -> None:
        self.keys: dict[type[Struct], str] = dict(types) if isinstance(types, Mapping) else {}
        self.types: tuple[type[Struct], ...] = tuple(types)
        self.format, self.type_header, self.type_field = format, type_header, type_field

    @property
    def wire(self) -> tuple[str, str, str]:
        """All that tells one way of writing messages from another."""
        return self.format, self.type_header, self.type_field


Types = Iterable[type[Struct]] | Topic
Keys = Mapping[type[Struct], str] | Topic


class App:
    """A set of process managers over declared topics.

    Args:
        name: begins the names of all groups and topics that pmstream makes.
        schemas: folder of `.avsc` files, beside the module that builds the App; only Avro topics
            need it.
        events: source topic to the event types in it.
        commands: command topic to its command types, each with its key field.
        process_managers: their instances; names must differ.
        telemetry: functions of one argument that hear of each try, see `pmstream.telemetry`.

    Raises:
        ConfigurationError: with every fault found.
    """

    def __init__(
        self,
        *,
        name: str,
        schemas: str | Path = "avro",
        events: Mapping[str, Types],
        commands: Mapping[str, Keys],
        process_managers: Sequence[ProcessManager[Any]],
        telemetry: Sequence[Listener] = (),
    ) -> None:
        self.name = name
        self.schemas = _beside_caller(schemas)
        self.events = {topic: _topic(types) for topic, types in events.items()}
        self.commands = {topic: _topic(keys) for topic, keys in commands.items()}
        self.process_managers = {manager.name: manager for manager in process_managers}
        self.telemetry = tuple(telemetry)
        faults = [*_faults(self), *_duplicates(process_managers)]
        faults += [fault for manager in process_managers for fault in definition.check(manager)]
        faults += [*_start_faults(self), *_keyed_faults(self)]
        if faults:
            raise ConfigurationError(*faults)

    def manager(self, name: str) -> ProcessManager[Any]:
        """The process manager of that name. Raises ConfigurationError."""
        try:
            return self.process_managers[name]
        except KeyError:
            known = ", ".join(self.process_managers)
            raise ConfigurationError(
                f"app {self.name} has no process manager {name!r}; it has {known}"
            ) from None

    def roles(self, name: str) -> tuple[str, ...]:
        """Roles of workers that a process manager has. Raises ConfigurationError."""
        return ("router", "instances") if self.manager(name).keyed is None else ("instances",)

    def source_group(self, names: "Names") -> str:
        """Consumer group that reads a process manager's sources. Raises ConfigurationError."""
        return names.group(self.roles(names.process_manager)[0])


def _topic(types: Types | Keys) -> Topic:
    return types if isinstance(types, Topic) else Topic(types)


def _beside_caller(folder: str | Path) -> Path:
    """Resolves a relative folder against the file of the code that builds the App."""
    caller = sys._getframe(2).f_globals.get("__file__")  # noqa: SLF001 - who builds the App
    return (Path(caller).parent if caller else Path()) / folder


def _faults(app: App) -> Iterable[str]:
    if not LEGAL_NAME.fullmatch(app.name):
        yield f"app name {app.name!r} is not 1 to 100 of letters, digits, '.', '_', '-'"
    for topic in (*app.events, *app.commands):
        if not LEGAL_NAME.fullmatch(topic):
            yield f"topic {topic!r} is not a legal Kafka topic name"
    if not app.process_managers:
        yield f"app {app.name} has no process managers"
    for listener in app.telemetry:
        if not callable(listener):
            yield f"telemetry: {listener!r} is not a function of one argument"
    yield from _type_faults("event", app.events)
    yield from _type_faults("command", app.commands)
    yield from _key_faults(app.commands)


def _type_faults(kind: str, topics: Mapping[str, Topic]) -> Iterable[str]:
    home: dict[type, str] = {}
    for name, topic in topics.items():
        if topic.format not in FORMATS:
            yield f"topic {name}: format {topic.format!r} is none of {', '.join(FORMATS)}"
        yield from _wire_faults(name, topic)
        for each in topic.types:
            if not _is_struct(each):
                yield f"topic {name}: {each!r} is not a msgspec.Struct type"
            elif not isinstance(getattr(each, "__schema__", None), str):
                yield f"topic {name}: {each.__name__} has no __schema__ (its Avro full name)"
            elif topic.format == JSON:
                yield from (f"topic {name}: {fault}" for fault in _json_faults(topic, each))
            if kind == "command" and home.setdefault(each, name) != name:
                yield f"command {each.__name__} stands in two topics, {home[each]} and {name}"


def _wire_faults(name: str, topic: Topic) -> Iterable[str]:
    header, field = topic.type_header, topic.type_field
    if topic.format != JSON:
        if header or field:
            yield f"topic {name}: type_header and type_field belong to format json"
    elif bool(header) == bool(field):
        yield f"topic {name}: format json needs type_header=... or type_field=..., one of the two"
    elif not is_type_name(header or field):
        yield f"topic {name}: {header or field!r} is no name for a header or a field"
    elif header in _OWN_HEADERS or header.startswith(messages.RESERVED_PREFIX):
        yield f"topic {name}: type_header {header!r} is a header of pmstream's own"


def _json_faults(topic: Topic, type_: type[Struct]) -> Iterable[str]:
    """What keeps a type from being a JSON message of its topic."""
    name, config = type_.__name__, type_.__struct_config__
    full: str = type_.__schema__  # type: ignore[attr-defined]
    if not is_type_name(full):
        yield f"{name} has the __schema__ {full!r}: that is no name for a type"
    if config.array_like:
        yield f"{name} is array_like; a JSON message is an object"
    if topic.type_field and topic.type_field in type_.__struct_encode_fields__:
        yield f"{name} has a field {topic.type_field!r} itself, which is the topic's type_field"
    if topic.type_field and topic.type_field == config.tag_field:
        yield f"{name} has the tag_field {config.tag_field!r}, which is the topic's type_field"
    if topic.type_field and config.forbid_unknown_fields:
        yield f"{name} forbids unknown fields, and so the topic's type_field {topic.type_field!r}"
    try:
        msgspec.json.Decoder(type_)
    except Exception as error:  # noqa: BLE001 - also what its annotations raise
        yield f"{name} cannot be read from JSON: {error}"


def is_type_name(name: str) -> bool:
    """Whether that can stand for a type in a JSON topic: text on one line, not too long."""
    return 0 < len(name) <= MAX_TYPE_NAME and name.isprintable()


def _is_struct(candidate: object) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, Struct)


def _key_faults(commands: Mapping[str, Topic]) -> Iterable[str]:
    for name, topic in commands.items():
        for each in topic.types:
            key = topic.keys.get(each)
            if key is None:
                yield f"topic {name}: {each.__name__} needs a key field: {{{each.__name__}: ...}}"
            elif _is_struct(each) and key not in each.__struct_fields__:
                yield f"topic {name}: {each.__name__} has no key field {key!r}"


def _start_faults(app: App) -> Iterable[str]:
    for name, manager in app.process_managers.items():
        named = manager.start_from if isinstance(manager.start_from, Mapping) else {}
        for topic in named:
            if isinstance(topic, str) and topic not in app.events:
                yield (
                    f"process manager {name}: start_from names {topic}, which is no source topic; "
                    f"those are {', '.join(app.events)}"
                )


def _keyed_faults(app: App) -> Iterable[str]:
    for name, manager in app.process_managers.items():
        if manager.keyed is None:
            continue
        where = f"process manager {name}: keyed is {manager.keyed!r}"
        if not isinstance(manager.keyed, str) or manager.keyed not in app.events:
            yield f"{where}, which is no source topic; those are {', '.join(app.events)}"
        elif len(app.events) > 1:
            yield (
                f"{where}, but the app has more source topics ({', '.join(app.events)}), and each "
                "feeds every process manager: leave keyed out, or put it into an app of its own "
                "with that topic only"
            )


def _duplicates(managers: Sequence[ProcessManager[Any]]) -> Iterable[str]:
    names = [manager.name for manager in managers]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"two process managers are named {name!r}"


class Names(Struct, frozen=True):
    """Names of what belongs to one process manager in the cluster.

    A later generation ends in `.g2`, `.g3`: `generation` is that of inbox, changelog and groups,
    `feeds` that of replies and orders.
    """

    app: str
    process_manager: str
    generation: int = 1
    feeds: int = 1

    def _name(self, what: str, generation: int = 1) -> str:
        suffix = f".g{generation}" if generation > 1 else ""
        return f"{self.app}.{self.process_manager}.{what}{suffix}"

    @property
    def inbox(self) -> str:
        """Topic of routed events, keyed by process UUID."""
        return self._name("inbox", self.generation)

    @property
    def changelog(self) -> str:
        """Compacted topic of instances and commit records."""
        return self._name("changelog", self.generation)

    @property
    def replies(self) -> str:
        """Topic of services' replies to commands (confirm mode)."""
        return self._name("replies", self.feeds)

    @property
    def orders(self) -> str:
        """Topic of operators' orders, and of what became of them."""
        return self._name("orders", self.feeds)

    @property
    def dead_letters(self) -> str:
        """Topic of records that could not be decoded or routed."""
        return self._name("dead-letters")

    @property
    def generations(self) -> str:
        """Topic that says which generation is live; none before the second."""
        return self._name("generations")

    def group(self, role: str) -> str:
        """Consumer group of a role (`router`, `instances`)."""
        return self._name(role, self.generation)

    def transactional_id(self, role: str, worker: str) -> str:
        """Transactional id of a worker; stable, so that a restart ends its own leftovers."""
        return f"{self.group(role)}.{worker}"
