"""A topic in JSON: a header, or a field of the object, names each message's type.

Rule: a message is read as its Struct says, nothing is coerced; what is written can be read back.

    type_header="type"  header `type: shop.OrderPlaced`, value `{"order": "o-1"}`
    type_field="type"   value `{"type": "shop.OrderPlaced", "order": "o-1"}`

A type is named in full, as its `__schema__`; who reads also takes what stands after the last dot,
as long as only one type of the topic ends so.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.app import is_type_name
from pmstream.core.messages import Headers
from pmstream.errors import Undecodable
from pmstream.runtime.agreement import Declared
from pmstream.runtime.schemas import NATIVE
from pmstream.runtime.wire import Undeclared, Writer, misfit

Decoder = msgspec.json.Decoder[Any]

# Deterministic: a set, or a map in another order, must not differ from run to run.
_encoder = msgspec.json.Encoder(order="deterministic")
_plain = partial(msgspec.to_builtins, builtin_types=NATIVE, order="deterministic")


class JsonTopic:
    """Reads and writes the records of one topic.

    Args:
        name: of the topic.
        topic: as the app declares it.

    Attributes:
        writers: one for each declared type.
    """

    def __init__(self, name: str, topic: Declared) -> None:
        self._name, self._header, self._field = name, topic.type_header, topic.type_field
        self._peek = msgspec.json.Decoder(
            msgspec.defstruct("Peek", [("name", str, msgspec.field(name=self._field, default=""))])
        )
        types = {_name(each): each for each in topic.types}
        self._several = _several(types)
        self._decoders: dict[str, Decoder] = {
            alias: msgspec.json.Decoder(each)
            for full, each in types.items()
            for alias in (full, _short(full))
            if alias not in self._several and types.get(alias, each) is each
        }
        self.writers: dict[type, Writer] = {
            each: Writer(
                name, topic.types[each], self._write(full, each), _blame, self._named(full)
            )
            for full, each in types.items()
        }

    def read(self, value: bytes, headers: Headers) -> Any:
        """Reads a record: a message of a declared type, or `Undeclared`.

        Raises:
            Undecodable: it names no type, or is no whole message of the type that it names.
        """
        name = self._in_header(headers) if self._header else self._in_field(value)
        decoder = self._decoders.get(name)
        if decoder is None:
            return self._unread(name)
        try:
            return decoder.decode(value)
        except Exception as error:  # a Struct's own __post_init__ may raise any
            raise Undecodable(
                f"a record of {self._name} is no {_short(name)}: {_told(error)}"
            ) from error

    def _unread(self, name: str) -> Undeclared:
        if name not in self._several:
            return Undeclared(name)
        raise Undecodable(
            f"a record of {self._name} is a {name}, which could be "
            f"{' or '.join(self._several[name])}: name its type in full"
        )

    def _in_header(self, headers: Headers) -> str:
        place = f"header {self._header!r}"
        # Of a repeated one the last, as in Metadata.
        found = next((value for name, value in reversed(headers) if name == self._header), b"")
        try:
            return self._type_name((found or b"").decode(), place)
        except UnicodeDecodeError:
            raise self._no_name(found, place) from None

    def _in_field(self, value: bytes) -> str:
        try:
            found: Any = self._peek.decode(value)
        except Exception as error:
            raise Undecodable(
                f"a record of {self._name} is no JSON object with a type: {_told(error)}"
            ) from error
        return self._type_name(found.name, f"field {self._field!r}")

    def _type_name(self, name: str, place: str) -> str:
        if not name:
            raise Undecodable(
                f"a record of {self._name} has nothing in its {place}, which names its type"
            )
        if not is_type_name(name):
            raise self._no_name(name, place)
        return name

    def _no_name(self, found: object, place: str) -> Undecodable:
        return Undecodable(
            f"a record of {self._name} has {found!r:.40} in its {place}: that is no type's name"
        )

    def _named(self, full: str) -> Headers:
        return ((self._header, full.encode()),) if self._header else ()

    def _write(self, full: str, type_: type[Struct]) -> Callable[[Any], bytes]:
        decoder = msgspec.json.Decoder(type_)
        head = _encoder.encode({self._field: full})[:-1] if self._field else b""

        def write(message: Any) -> bytes:
            # Stricter than reading back: bytes or a UUID where text is declared would be text.
            msgspec.convert(_plain(message), type_, builtin_types=NATIVE)
            value = _encoder.encode(message)
            decoder.decode(value)  # NaN has become null
            if not head:
                return value
            return head + (b"," if len(value) > 2 else b"") + value[1:]

        return write


def _several(names: Iterable[str]) -> dict[str, list[str]]:
    """Short names that stand for more than one full one, and are none themselves."""
    found: dict[str, list[str]] = {}
    for full in names:
        found.setdefault(_short(full), []).append(full)
    return {short: each for short, each in found.items() if len(each) > 1 and short not in each}


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _name(type_: type[Struct]) -> str:
    return str(type_.__schema__)  # type: ignore[attr-defined]


def _blame(_message: Struct, error: Exception) -> str:
    return _told(error)


def _told(error: Exception) -> str:
    return misfit(error) or " ".join(str(error).split()) or type(error).__name__
