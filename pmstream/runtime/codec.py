"""Turns bytes into messages and back: framing, schema fingerprints, Avro under each topic's rules.

Rule: the first bytes of a record choose its reader; a type nobody declared is never decoded.

    "avro"            C3 01, the schema's CRC-64-AVRO (8 bytes, little-endian), body
    "confluent-avro"  00, the schema's id in a registry (4 bytes, big-endian), body;
                      the ids stand in the schemas folder's `ids.json`:
                      {"7": "bank.MoneyWithdrawn", "3": "previous/bank.MoneyWithdrawn-1"}

Older writer schemas stand in `previous/`, each file whole in itself, under any name.
"""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NoReturn
from uuid import UUID

from msgspec import Struct

from pmstream.app import App
from pmstream.core.engine import Encoded
from pmstream.core.messages import Headers, Routed
from pmstream.errors import CommandInvalid, ConfigurationError, PmstreamError, Undecodable
from pmstream.runtime import avro
from pmstream.runtime.agreement import Declared, declared, disagreements
from pmstream.runtime.schemas import Schema

MAX_MESSAGE_BYTES = 1_000_000

_MAGIC = {"avro": b"\xc3\x01", "confluent-avro": b"\x00"}
_PREFIX = {"avro": 10, "confluent-avro": 5}


class UnknownSchema(Undecodable):
    """The bytes name a schema that the schemas folder does not have."""


class MessageInvalid(PmstreamError):
    """A message cannot be written to that topic: undeclared type, or a wrong field."""


class Undeclared(Struct, frozen=True):
    """A record whose schema is known, of a type that its topic does not declare: not decoded.

    Attributes:
        schema: its full name.
    """

    schema: str


class _Reader(Struct, frozen=True):
    name: str
    read: avro.Read


class _Writer(Struct, frozen=True):
    topic: str
    key: str | None
    schema: Schema
    write: avro.Write

    def encode(self, message: Struct, fault: type[PmstreamError]) -> bytes:
        try:
            return self.write(message)
        except Exception as error:
            reason = avro.blame(self.schema, message, error)
            raise fault(f"{type(message).__name__} for topic {self.topic}: {reason}") from error


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
        topics = declared(app)
        self._tables = {name: _table(topic, known, ids) for name, topic in topics.items()}
        self._writers = {name: _writers(name, each, known, ids) for name, each in topics.items()}
        self._commands = {
            each: self._writers[name][each]
            for name, topic in app.commands.items()
            for each in topic.types
        }

    def decode(self, topic: str, value: bytes) -> Any:
        """Reads a record's value: a message of a declared type, or `Undeclared`.

        Raises:
            UnknownSchema: no schema here has its fingerprint or id.
            Undecodable: wrong magic, truncated, damaged, or bytes left over.
        """
        table = self._tables.get(topic)
        if table is None:
            raise Undecodable(f"topic {topic} is not declared by app {self._app}")
        size, readers = table
        reader = readers.get(value[:size])
        if reader is None:
            _unknown(topic, value, size)
        if isinstance(reader, Undeclared):
            return reader
        stream = BytesIO(value)
        stream.seek(size)
        try:
            message = reader.read(stream)
        except Exception as error:  # damaged bytes make fastavro raise any of a dozen
            raise Undecodable(
                f"a record of {topic} is no whole {reader.name}: {' '.join(str(error).split())}"
            ) from error
        if stream.tell() != len(value):
            raise Undecodable(
                f"a record of {topic} has {len(value) - stream.tell()} bytes "
                f"after its {reader.name}"
            )
        return message

    def decode_event(self, routed: Routed) -> Any:
        """Reads a routed event's value. Raises Undecodable."""
        return self._declared(routed.topic, routed.value)

    def decode_command(self, topic: str, value: bytes, headers: Headers = ()) -> Any:
        """Reads back what `encode_command` wrote. Raises Undecodable."""
        return self._declared(topic, value)

    def _declared(self, topic: str, value: bytes) -> Any:
        message = self.decode(topic, value)
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
        value = writer.encode(command, CommandInvalid)
        key = _key(writer, command)
        if len(key) + len(value) > self._max_bytes:
            raise CommandInvalid(
                f"{type(command).__name__} for topic {writer.topic} is too large: key {len(key)} "
                f"and value {len(value)} bytes; max_message_bytes is {self._max_bytes}"
            )
        return Encoded(writer.topic, key, value)

    def encode_event(self, topic: str, message: Struct) -> bytes:
        """Writes a message of a type declared for the topic; for services and loaders.

        Raises:
            MessageInvalid: with the type, the field and the reason.
        """
        writer = self._writers.get(topic, {}).get(type(message))
        if writer is None:
            raise MessageInvalid(
                f"{type(message).__name__} is not declared for topic {topic} of app {self._app}"
            )
        return writer.encode(message, MessageInvalid)


def check_schemas(app: App) -> list[str]:
    """Says everything that is wrong between an app and its schemas folder."""
    return _load(app)[2]


def _load(app: App) -> tuple[dict[str, Schema], dict[int, str], list[str]]:
    known, faults = avro.load(app.schemas)
    ids: dict[int, str] = {}
    path = app.schemas / "ids.json"
    if path.exists():
        try:
            ids = {int(number): key for number, key in json.loads(path.read_bytes()).items()}
        except (OSError, ValueError, AttributeError) as error:
            faults.append(f'{path}: not {{"<registry id>": "<schema>"}}: {error}')
    for number, key in ids.items():
        if key not in known:
            faults.append(f"{path}: id {number} names {key}, but there is no {key}.avsc")
    return known, ids, [*faults, *disagreements(app, known, ids)]


def _prefixes(schema: Schema, format: str, ids: Mapping[int, str]) -> list[bytes]:
    """What records of a schema begin with; the last is today's."""
    magic = _MAGIC[format]
    if format == "avro":
        return [magic + schema.fingerprint]
    numbers = sorted(number for number, key in ids.items() if key == schema.key)
    return [magic + number.to_bytes(4, "big") for number in numbers]


def _table(
    topic: Declared, known: Mapping[str, Schema], ids: Mapping[int, str]
) -> tuple[int, dict[bytes, _Reader | Undeclared]]:
    types = {_name(each): each for each in topic.types}
    table: dict[bytes, _Reader | Undeclared] = {}
    for schema in sorted(known.values(), key=lambda each: each.key == each.name):
        each = types.get(schema.name)
        entry: _Reader | Undeclared = Undeclared(schema.name)
        if each is not None:
            entry = _Reader(each.__name__, avro.reader(schema, known[schema.name], each))
        table |= dict.fromkeys(_prefixes(schema, topic.format, ids), entry)
    return _PREFIX[topic.format], table


def _writers(
    name: str, topic: Declared, known: Mapping[str, Schema], ids: Mapping[int, str]
) -> dict[type, _Writer]:
    writers: dict[type, _Writer] = {}
    for each, key in topic.types.items():
        schema = known[_name(each)]
        prefix = _prefixes(schema, topic.format, ids)[-1]
        writers[each] = _Writer(name, key, schema, avro.writer(schema, each, prefix))
    return writers


def _name(type_: type[Struct]) -> str:
    return str(type_.__schema__)  # type: ignore[attr-defined]


def _key(writer: _Writer, command: Any) -> bytes:
    key = getattr(command, str(writer.key))
    if isinstance(key, str) and key:
        return key.encode()
    if isinstance(key, int | UUID) and not isinstance(key, bool):
        return str(key).encode()
    found = "empty" if isinstance(key, str) else f"of type {type(key).__name__}"
    raise CommandInvalid(
        f"{type(command).__name__} for topic {writer.topic}: key field {writer.key} is {found}; "
        f"it must be a text that is not empty, a whole number or a UUID"
    )


def _unknown(topic: str, value: bytes, size: int) -> NoReturn:
    magic = next(each for each, length in _PREFIX.items() if length == size)
    start = _MAGIC[magic]
    if not value.startswith(start):
        raise Undecodable(
            f"a record of {topic} begins with {value[: len(start)].hex(' ') or 'nothing'}, "
            f"not with {start.hex(' ')}: its format is not {magic}"
        )
    if len(value) < size:
        raise Undecodable(f"a record of {topic} ends within its {size} bytes of schema and magic")
    if magic == "avro":
        found = f"fingerprint {value[2:size].hex()}"
    else:
        found = f"registry id {int.from_bytes(value[1:size], 'big')}"
    raise UnknownSchema(
        f"a record of {topic} has a schema that is not known here, {found}; "
        f"add the .avsc it was written with"
    )
