"""A topic in Avro: what its records begin with says which schema wrote them.

    "avro"            C3 01, the schema's CRC-64-AVRO (8 bytes, little-endian), body
    "confluent-avro"  00, the schema's id in a registry (4 bytes, big-endian), body;
                      the ids stand in the schemas folder's `ids.json`:
                      {"7": "bank.MoneyWithdrawn", "3": "previous/bank.MoneyWithdrawn-1"}

Rule: the first bytes of a record choose its reader; a type nobody declared is never decoded.
"""

from collections.abc import Mapping
from functools import partial
from io import BytesIO
from typing import Any, NoReturn

from msgspec import Struct

from pmstream.core.messages import Headers
from pmstream.errors import Undecodable
from pmstream.runtime import avro
from pmstream.runtime.agreement import Declared
from pmstream.runtime.flat import QuickRead
from pmstream.runtime.schemas import Schema
from pmstream.runtime.wire import Undeclared, Writer

_MAGIC = {"avro": b"\xc3\x01", "confluent-avro": b"\x00"}
_PREFIX = {"avro": 10, "confluent-avro": 5}


class UnknownSchema(Undecodable):
    """The bytes name a schema that the schemas folder does not have."""


class _Reader(Struct, frozen=True):
    name: str
    read: avro.Read
    quick: QuickRead | None


class AvroTopic:
    """Reads and writes the records of one topic.

    Args:
        name: of the topic.
        topic: as the app declares it.
        known: the schemas folder, by key.
        ids: registry ids to keys.

    Attributes:
        writers: one for each declared type.
    """

    def __init__(
        self, name: str, topic: Declared, known: Mapping[str, Schema], ids: Mapping[int, str]
    ) -> None:
        self._name, self._format, self._size = name, topic.format, _PREFIX[topic.format]
        self._readers: dict[bytes, _Reader | Undeclared] = {}
        types, heirs = {_name(each): each for each in topic.types}, avro.successors(known)
        for schema in sorted(known.values(), key=lambda each: each.key == each.name):
            today = heirs.get(schema.name, schema.name)
            each = types.get(today)
            entry: _Reader | Undeclared = Undeclared(schema.name)
            if each is not None:
                read = avro.reader(schema, known[today], each)
                quick = avro.short_cut(schema, known[today], each, self._size)
                entry = _Reader(each.__name__, read, quick)
            self._readers |= dict.fromkeys(_prefixes(schema, topic.format, ids), entry)
        self.writers: dict[type, Writer] = {}
        for each, key in topic.types.items():
            schema = known[_name(each)]
            prefix = _prefixes(schema, topic.format, ids)[-1]
            write, blame = avro.writer(schema, each, prefix), partial(avro.blame, schema)
            self.writers[each] = Writer(name, key, write, blame)

    def read(self, value: bytes, headers: Headers) -> Any:
        """Reads a record's value: a message of a declared type, or `Undeclared`.

        Raises:
            UnknownSchema: no schema here has its fingerprint or id.
            Undecodable: wrong magic, truncated, damaged, or bytes left over.
        """
        reader = self._readers.get(value[: self._size])
        if reader is None:
            self._unknown(value)
        if isinstance(reader, Undeclared):
            return reader
        message = reader.quick(value) if reader.quick is not None else None
        if message is not None:
            return message
        stream = BytesIO(value)
        stream.seek(self._size)
        try:
            message = reader.read(stream)
        except Exception as error:  # damaged bytes make fastavro raise any of a dozen
            raise Undecodable(
                f"a record of {self._name} is no whole {reader.name}: "
                f"{' '.join(str(error).split())}"
            ) from error
        if stream.tell() != len(value):
            raise Undecodable(
                f"a record of {self._name} has {len(value) - stream.tell()} bytes "
                f"after its {reader.name}"
            )
        return message

    def _unknown(self, value: bytes) -> NoReturn:
        topic, size, start = self._name, self._size, _MAGIC[self._format]
        if not value.startswith(start):
            raise Undecodable(
                f"a record of {topic} begins with {value[: len(start)].hex(' ') or 'nothing'}, "
                f"not with {start.hex(' ')}: its format is not {self._format}"
            )
        if len(value) < size:
            raise Undecodable(
                f"a record of {topic} ends within its {size} bytes of schema and magic"
            )
        if self._format == "avro":
            found = f"fingerprint {value[2:size].hex()}"
        else:
            found = f"registry id {int.from_bytes(value[1:size], 'big')}"
        raise UnknownSchema(
            f"a record of {topic} has a schema that is not known here, {found}; "
            f"add the .avsc it was written with"
        )


def _prefixes(schema: Schema, format: str, ids: Mapping[int, str]) -> list[bytes]:
    """What records of a schema begin with; the last is today's."""
    magic = _MAGIC[format]
    if format == "avro":
        return [magic + schema.fingerprint]
    numbers = sorted(number for number, key in ids.items() if key == schema.key)
    return [magic + number.to_bytes(4, "big") for number in numbers]


def _name(type_: type[Struct]) -> str:
    return str(type_.__schema__)  # type: ignore[attr-defined]
