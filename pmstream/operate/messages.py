"""Records of an app's topics as messages: written from JSON, read back by schema."""

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.app import App, Names, Topic
from pmstream.errors import CommandInvalid, ConfigurationError, Undecodable
from pmstream.runtime.codec import Codec, MessageInvalid, Undeclared
from pmstream.runtime.generations import ever
from pmstream.runtime.inbox import read_inbox
from pmstream.runtime.log import Log, Record, TopicInfo, TopicPartition

_SOURCE = "pm-source"
_PLACE = re.compile(r"(.+)-\d+-\d+")


class Shown(Struct, frozen=True):
    """What a record says.

    Attributes:
        type: name of the message's type, or schema; "" when it cannot be told.
        value: field to value; None when there is no value or it cannot be read.
        error: why it cannot be read; "" if it can, or is not meant to be.
    """

    type: str
    value: Any
    error: str = ""


class Encoder:
    """Makes records of one type from JSON.

    Args:
        app: declares the topic.
        topic: a source or command topic.
        type_name: the type's name or its schema's full name.
        key: field whose text becomes the key; "" is a command's declared one, or none.

    Attributes:
        headers: those that every record carries.

    Raises:
        ConfigurationError: the app knows no such topic, type or field.
    """

    def __init__(self, app: App, topic: str, type_name: str, key: str = "") -> None:
        declared = declared_topic(app, topic)
        self._codec, self._topic = Codec(app), topic
        self._type = _type(topic, declared, type_name)
        self.headers = self._codec.event_headers(topic, self._type)
        self._fields = {field.encode_name for field in msgspec.structs.fields(self._type)}
        self._key = key or declared.keys.get(self._type, "")
        direct = [name for name, each in app.process_managers.items() if each.keyed == topic]
        if direct and not self._key:
            raise ConfigurationError(
                f"{', '.join(direct)} reads {topic} by its keys, the process UUIDs, and stops at a "
                "record without: give --key, the field that has it"
            )
        if self._key and self._key not in self._type.__struct_fields__:
            raise ConfigurationError(
                f"{self._type.__name__} has no field {self._key!r} to take as key; it has "
                f"{', '.join(self._type.__struct_fields__)}"
            )

    def encode(self, text: bytes | str) -> tuple[bytes | None, bytes]:
        """Key and value of a record.

        Raises:
            ConfigurationError: the JSON is not such a message.
        """
        try:
            raw = msgspec.json.decode(text)
            message = msgspec.convert(raw, self._type)
            unknown = sorted(raw.keys() - self._fields)
            value = self._codec.encode_event(self._topic, message)
        except (
            msgspec.MsgspecError,
            MessageInvalid,
            CommandInvalid,
            AttributeError,
            RecursionError,
        ) as error:
            raise ConfigurationError(f"it is no {self._type.__name__}: {error}") from error
        if unknown:
            raise ConfigurationError(
                f"it is no {self._type.__name__}: it has no field {', '.join(unknown)}"
            )
        key = str(getattr(message, self._key)).encode() if self._key else None
        return key, value


class Viewer:
    """Reads records of any topic of an app: its sources, its commands, and pmstream's own."""

    def __init__(self, app: App, log: Log) -> None:
        self._codec = Codec(app)
        self._declared = {*app.events, *app.commands}
        self._inboxes = {each.inbox for each in ever(log, app)}

    def view(self, record: Record) -> Shown:
        """What a record says; bytes that cannot be read are an `error`, not raised."""
        if record.value is None:
            return Shown("", None)
        try:
            return self._view(record, record.value)
        except Undecodable as error:
            return Shown("", None, str(error))

    def _view(self, record: Record, value: bytes) -> Shown:
        topic = record.topic
        if topic in self._inboxes:
            topic = read_inbox(record).topic
        if topic not in self._declared:
            return self._guess(record, value)
        return _shown(self._codec.decode(topic, value, record.headers))

    def _guess(self, record: Record, value: bytes) -> Shown:
        """A dead letter may be readable by today's schemas; other topics are not messages."""
        source = dict(record.headers).get(_SOURCE) or b""
        place = _PLACE.fullmatch(source.decode(errors="replace"))
        if place is None or place[1] not in self._declared:
            return Shown("", None)
        try:
            return _shown(self._codec.decode(place[1], value, record.headers))
        except Undecodable:
            return Shown("", None)


def _shown(message: Any) -> Shown:
    if isinstance(message, Undeclared):
        return Shown(message.schema, None)
    return Shown(type(message).__name__, msgspec.to_builtins(message, str_keys=True))


def declared_topic(app: App, topic: str) -> Topic:
    """The declaration of a source or command topic. Raises ConfigurationError."""
    declared = app.events.get(topic) or app.commands.get(topic)
    if declared is None:
        known = ", ".join((*app.events, *app.commands))
        raise ConfigurationError(f"app {app.name} declares no topic {topic!r}; it has {known}")
    return declared


def known_topics(app: App, log: Log) -> list[str]:
    """Every topic that belongs to an app, or did. Raises as `generations.read_state`."""
    ours = [name for names in ever(log, app) for name in _own(app, names)]
    return list(dict.fromkeys((*app.events, *app.commands, *ours)))


def _own(app: App, names: Names) -> tuple[str, ...]:
    inbox = () if app.manager(names.process_manager).keyed else (names.inbox,)
    return (*inbox, names.changelog, names.orders, names.dead_letters)


def existing(app: App, log: Log, topic: str) -> TopicInfo:
    """A topic of the app, as the cluster has it. Raises ConfigurationError, Unavailable."""
    if topic not in known_topics(app, log):
        raise ConfigurationError(
            f"app {app.name} has no topic {topic!r}; it has {', '.join(known_topics(app, log))}"
        )
    info = log.topics().get(topic)
    if info is None:
        raise ConfigurationError(
            f"the cluster does not have topic {topic}: run `pmstream topics ensure`"
        )
    return info


def places(
    bounds: Mapping[TopicPartition, tuple[int, int]], since: str
) -> dict[TopicPartition, int]:
    """Where to begin to read.

    Args:
        bounds: start and end of each partition of one topic.
        since: "origin", "current", or `partition:offset`, which means that partition only.

    Raises:
        ConfigurationError: it is none of them, or not in the topic.
    """
    if since in ("origin", "current"):
        return {place: ends[since == "current"] for place, ends in bounds.items()}
    number, colon, offset = since.partition(":")
    if not (number.isdecimal() and colon and offset.isdecimal()):
        raise ConfigurationError(
            f"--from is {since!r}; it is origin, current or partition:offset, for example 0:17"
        )
    found = [place for place in bounds if place.partition == int(number)]
    if not found:
        raise ConfigurationError(f"--from {since}: the topic has partitions 0 to {len(bounds) - 1}")
    start, end = bounds[found[0]]
    if not start <= int(offset) <= end:
        raise ConfigurationError(f"--from {since}: partition {number} has offsets {start} to {end}")
    return {found[0]: int(offset)}


def _type(topic: str, declared: Topic, name: str) -> type[Struct]:
    for each in declared.types:
        if name in (each.__name__, getattr(each, "__schema__", None)):
            return each
    known = ", ".join(each.__name__ for each in declared.types)
    raise ConfigurationError(f"topic {topic} has no type {name!r}; it has {known}")
