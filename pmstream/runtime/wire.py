"""What each format of a topic gives the codec: how its messages are read and written."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from pmstream.core.messages import Headers
from pmstream.errors import PmstreamError

_AT = re.compile(r"(?P<reason>.*?)(?: - at (?:`key` in )?`\$\.?(?P<path>.*)`)?", re.DOTALL)


class Undeclared(Struct, frozen=True):
    """A record of a type that is known by name, but not declared for its topic: not decoded.

    Attributes:
        schema: its full name.
    """

    schema: str


class Writer(Struct, frozen=True):
    """Writes the messages of one type into one topic.

    Attributes:
        topic: where they go.
        key: the field that is the record's key; None for events.
        write: a message's bytes; raises any exception at a field that does not fit.
        blame: says of such an exception which field it was, and why.
        headers: those that every such record carries.
    """

    topic: str
    key: str | None
    write: Callable[[Any], bytes]
    blame: Callable[[Struct, Exception], str]
    headers: Headers = ()

    def encode(self, message: Struct, fault: type[PmstreamError]) -> bytes:
        """A message's bytes. Raises `fault`, with the type, the field and the reason."""
        try:
            return self.write(message)
        except Exception as error:
            raise fault(self.refusal(message, error)) from error

    def refusal(self, message: Struct, error: Exception) -> str:
        """Says which message could not be written, and why."""
        return f"{type(message).__name__} for topic {self.topic}: {self.blame(message, error)}"


class Wire(Protocol):
    """One topic in its format."""

    @property
    def writers(self) -> Mapping[type, Writer]:
        """One for each declared type."""

    def read(self, value: bytes, headers: Headers) -> Any:
        """Reads a record: a message of a declared type, or `Undeclared`. Raises Undecodable."""


def misfit(error: Exception) -> str:
    """Which field msgspec found wrong, and why; an empty string when it names none."""
    found = _AT.fullmatch(str(error)) if isinstance(error, msgspec.ValidationError) else None
    return f"field {found['path']}: {found['reason']}" if found and found["path"] else ""
