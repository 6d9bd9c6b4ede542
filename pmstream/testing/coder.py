"""Messages that never become bytes: what a scenario works with in place of schemas."""

from typing import Any

from msgspec import Struct

from pmstream.core.messages import Encoded, Headers, Routed
from pmstream.errors import CommandInvalid


class ByNumber:
    """Keeps messages, and stores their numbers instead.

    Attributes:
        messages: by number.
    """

    def __init__(self) -> None:
        self.messages: list[Any] = []

    def number(self, message: Any) -> bytes:
        """What stands for a message; equal messages have equal numbers."""
        if message not in self.messages:
            self.messages.append(message)
        return b"%d" % self.messages.index(message)

    def decode_event(self, routed: Routed) -> Any:
        """The event that the number stands for."""
        return self.messages[int(routed.value)]

    def encode_command(self, command: Any) -> Encoded:
        """A command's number. Raises CommandInvalid when it is no Struct."""
        if not isinstance(command, Struct):
            raise CommandInvalid(f"{command!r} is no msgspec.Struct, so it can be no command")
        return Encoded(type(command).__name__, b"", self.number(command))

    def decode_command(self, _topic: str, value: bytes, _headers: Headers) -> Any:
        """The command that the number stands for."""
        return self.messages[int(value)]
