"""Turns bytes into messages and back, under each topic's format.

Rule: what a record's type is, its format says; a type nobody declared is never decoded.

Avro is `avro_topic`, JSON is `json_topic`. Older writer schemas stand in `previous/`, each file
whole in itself, under any name.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from pmstream.app import App
from pmstream.core.engine import Encoded
from pmstream.core.messages import MOST_HEADERS, Headers, Routed
from pmstream.errors import CommandInvalid, ConfigurationError, PmstreamError, Undecodable
from pmstream.runtime import avro
from pmstream.runtime.agreement import declared, disagreements
from pmstream.runtime.avro_topic import AvroTopic, UnknownSchema
from pmstream.runtime.json_topic import JsonTopic
from pmstream.runtime.resolution import resolve
from pmstream.runtime.schema_limits import text_of
from pmstream.runtime.schemas import Schema
from pmstream.runtime.wire import Undeclared, Wire, Writer

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Codec",
    "MessageInvalid",
    "Undeclared",
    "UnknownSchema",
    "check_schemas",
]

MAX_MESSAGE_BYTES = 1_000_000

_Ids = dict[Annotated[int, Meta(ge=0, lt=1 << 32)], str]


class MessageInvalid(PmstreamError):
    """A message cannot be written to that topic: undeclared type, or a wrong field."""


class Codec:
    """The bytes of an app's topics, of events and commands alike.

    Args:
        app: declares topics, types and the schemas folder.
        max_message_bytes: the largest key and value of a command.

    Raises:
        ConfigurationError: with all that `check_schemas` finds.
    """

    def __init__(self, app: App, max_message_bytes: int = MAX_MESSAGE_BYTES) -> None:
        known, ids, faults = _load(app)
        if faults:
            raise ConfigurationError(*faults)
        self._app, self._max_bytes = app.name, max_message_bytes
        self._wires: dict[str, Wire] = {
            name: JsonTopic(name, topic) if topic.is_json else AvroTopic(name, topic, known, ids)
            for name, topic in declared(app).items()
        }
        self._commands = {
            each: self._wires[name].writers[each]
            for name, topic in app.commands.items()
            for each in topic.types
        }

    def decode(self, topic: str, value: bytes, headers: Headers = ()) -> Any:
        """Reads a record: a message of a declared type, or `Undeclared`.

        Raises:
            UnknownSchema: no schema here has its fingerprint or id.
            Undecodable: its bytes or headers are no whole message of its topic.
        """
        wire = self._wires.get(topic)
        if wire is None:
            raise Undecodable(f"topic {topic} is not declared by app {self._app}")
        if headers and len(headers) > MOST_HEADERS:
            raise Undecodable(f"a record of {topic} has more than {MOST_HEADERS} headers")
        return wire.read(value, headers)

    def decode_event(self, routed: Routed) -> Any:
        """Reads a routed event's value. Raises Undecodable."""
        return self._declared(routed.topic, routed.value, routed.headers)

    def decode_command(self, topic: str, value: bytes, headers: Headers = ()) -> Any:
        """Reads back what `encode_command` wrote. Raises Undecodable."""
        return self._declared(topic, value, headers)

    def _declared(self, topic: str, value: bytes, headers: Headers) -> Any:
        message = self.decode(topic, value, headers)
        if isinstance(message, Undeclared):
            raise Undecodable(f"{message.schema} is not declared for topic {topic} any more")
        return message

    def encode_command(self, command: Any) -> Encoded:
        """Checks and writes a command: declared type, fields, key, size.

        Raises:
            CommandInvalid: with the type, the field and the reason.
        """
        writer = self._commands.get(type(command))
        if writer is None:
            known = ", ".join(sorted(each.__name__ for each in self._commands))
            raise CommandInvalid(
                f"{type(command).__name__} is no command of app {self._app}; those are {known}"
            )
        try:
            value = writer.write(command)
        except Exception as error:
            raise CommandInvalid(writer.refusal(command, error)) from error
        named = getattr(command, writer.key or "")
        key = named.encode() if type(named) is str and named else _key(writer, named, command)
        if len(key) + len(value) > self._max_bytes:
            raise CommandInvalid(
                f"{type(command).__name__} for topic {writer.topic} is too large: key {len(key)} "
                f"and value {len(value)} bytes; max_message_bytes is {self._max_bytes}"
            )
        return Encoded(writer.topic, key, value, writer.headers)

    def encode_event(self, topic: str, message: Struct) -> bytes:
        """Writes a message of a type declared for the topic; for services and loaders.

        Raises:
            MessageInvalid: with the type, the field and the reason.
        """
        return self._writer(topic, type(message)).encode(message, MessageInvalid)

    def event_headers(self, topic: str, type_: type[Struct]) -> Headers:
        """Headers that a record of `encode_event` must carry, in a JSON topic with `type_header`.

        Raises:
            MessageInvalid: the type is not declared for the topic.
        """
        return self._writer(topic, type_).headers

    def _writer(self, topic: str, type_: type[Struct]) -> Writer:
        wire = self._wires.get(topic)
        writer = wire.writers.get(type_) if wire else None
        if writer is None:
            raise MessageInvalid(
                f"{type_.__name__} is not declared for topic {topic} of app {self._app}"
            )
        return writer


def check_schemas(app: App) -> list[str]:
    """Says everything that is wrong between an app and its schemas folder."""
    return _load(app)[2]


def _load(app: App) -> tuple[dict[str, Schema], dict[int, str], list[str]]:
    needed = any(not topic.is_json for topic in declared(app).values())
    known, faults = avro.load(app.schemas) if needed or app.schemas.is_dir() else ({}, [])
    ids: dict[int, str] = {}
    path = app.schemas / "ids.json"
    if path.exists():
        try:
            ids = msgspec.json.decode(text_of(path), type=_Ids)
        except (OSError, ValueError, RecursionError) as error:
            faults.append(f'{path}: not {{"<registry id>": "<schema>"}}: {error}')
    for number, key in ids.items():
        if key not in known:
            faults.append(f"{path}: id {number} names {key}, but there is no {key}.avsc")
    faults += [*disagreements(app, known, ids), *_alike(app, known)]
    return known, ids, faults


def _alike(app: App, known: Mapping[str, Schema]) -> Iterator[str]:
    """Older schemas that differ by a unit only, which no fingerprint tells."""
    topics = [topic for topic in declared(app).values() if topic.format == "avro"]
    names = {each.__schema__ for topic in topics for each in topic.types}  # type: ignore[attr-defined]
    heirs = avro.successors(known)
    for old in known.values():
        new = known.get(heirs.get(old.name, ""))
        if new is None or new.name not in names or old.fingerprint != new.fingerprint:
            continue
        for fault in resolve(old.expanded, new.expanded)[1]:
            if fault.kind == "unit":
                yield (
                    f"{app.schemas / old.key}.avsc: field {fault.path} {fault.said()}, and its "
                    f"fingerprint is that of today's {new.name}: give the field another name"
                )


def _key(writer: Writer, key: object, command: Any) -> bytes:
    if isinstance(key, str) and key:
        return key.encode()
    if isinstance(key, int | UUID) and not isinstance(key, bool):
        return str(key).encode()
    found = "empty" if isinstance(key, str) else f"of type {type(key).__name__}"
    raise CommandInvalid(
        f"{type(command).__name__} for topic {writer.topic}: key field {writer.key} is {found}; "
        f"it must be a text that is not empty, a whole number or a UUID"
    )
