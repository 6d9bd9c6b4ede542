"""App: topics, message types and process managers, checked whole."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pmstream.core import process
from pmstream.core.process import LEGAL_NAME, ProcessManager
from pmstream.errors import ConfigurationError

FORMATS = ("avro", "confluent-avro")
"""Wire formats of a topic: Avro single-object encoding, or the registry's framing."""


class Topic:
    """A topic whose messages are not in the default format.

    Args:
        types: event types; for a command topic a mapping of type to key field.
        format: one of FORMATS.
    """

    def __init__(
        self,
        types: Iterable[type[Struct]] | Mapping[type[Struct], str],
        format: str = "avro",
    ) -> None:
        self.keys: dict[type[Struct], str] = dict(types) if isinstance(types, Mapping) else {}
        self.types: tuple[type[Struct], ...] = tuple(types)
        self.format = format


Types = Iterable[type[Struct]] | Topic
Keys = Mapping[type[Struct], str] | Topic


class App:
    """A set of process managers over declared topics.

    Args:
        name: begins the names of all groups and topics that pmstream makes.
        schemas: folder of `.avsc` files, beside the module that builds the App.
        events: source topic to the event types in it.
        commands: command topic to its command types, each with its key field.
        process_managers: their instances; names must differ.

    Raises:
        ConfigurationError: with every fault found.
    """

    def __init__(
        self,
        *,
        name: str,
        schemas: str | Path,
        events: Mapping[str, Types],
        commands: Mapping[str, Keys],
        process_managers: Sequence[ProcessManager[Any]],
    ) -> None:
        self.name = name
        self.schemas = _beside_caller(schemas)
        self.events = {topic: _topic(types) for topic, types in events.items()}
        self.commands = {topic: _topic(keys) for topic, keys in commands.items()}
        self.process_managers = {manager.name: manager for manager in process_managers}
        faults = [*_faults(self), *_duplicates(process_managers)]
        faults += [fault for manager in process_managers for fault in process.check(manager)]
        faults += _start_faults(self)
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
    yield from _type_faults("event", app.events)
    yield from _type_faults("command", app.commands)
    yield from _key_faults(app.commands)


def _type_faults(kind: str, topics: Mapping[str, Topic]) -> Iterable[str]:
    home: dict[type, str] = {}
    for name, topic in topics.items():
        if topic.format not in FORMATS:
            yield f"topic {name}: format {topic.format!r} is none of {', '.join(FORMATS)}"
        for each in topic.types:
            if not _is_struct(each):
                yield f"topic {name}: {each!r} is not a msgspec.Struct type"
            elif not isinstance(getattr(each, "__schema__", None), str):
                yield f"topic {name}: {each.__name__} has no __schema__ (its Avro full name)"
            if kind == "command" and home.setdefault(each, name) != name:
                yield f"command {each.__name__} stands in two topics, {home[each]} and {name}"


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


def _duplicates(managers: Sequence[ProcessManager[Any]]) -> Iterable[str]:
    names = [manager.name for manager in managers]
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        yield f"two process managers are named {name!r}"


class Names(Struct, frozen=True):
    """Names of what belongs to one process manager in the cluster."""

    app: str
    process_manager: str

    def _name(self, what: str) -> str:
        return f"{self.app}.{self.process_manager}.{what}"

    @property
    def inbox(self) -> str:
        """Topic of routed events, keyed by process UUID."""
        return self._name("inbox")

    @property
    def changelog(self) -> str:
        """Compacted topic of instances and commit records."""
        return self._name("changelog")

    @property
    def dead_letters(self) -> str:
        """Topic of records that could not be decoded or routed."""
        return self._name("dead-letters")

    def group(self, role: str) -> str:
        """Consumer group of a role (`router`, `instances`)."""
        return self._name(role)

    def transactional_id(self, role: str, worker: str) -> str:
        """Transactional id of a worker; stable, so that a restart ends its own leftovers."""
        return f"{self.group(role)}.{worker}"
