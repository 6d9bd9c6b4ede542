"""The author's state as msgpack: written only if it can be read back.

Rule: what would be stored must be what is read later; else it is as if apply() had raised.
"""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.answering import text
from pmstream.core.process import Callbacks
from pmstream.errors import StateInvalid

_encoder = msgspec.msgpack.Encoder()


@lru_cache
def _decoder(state: type[Struct]) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(state)


def dump_state(state: object, declared: type[Struct], limit: int) -> bytes:
    """Writes what apply answered as msgpack.

    Raises:
        StateInvalid: it is not of the declared type, would not be read back, or is too large.
    """
    if type(state) is not declared:
        raise StateInvalid(f"apply() answered {type(state).__name__}, not {declared.__name__}")
    try:
        packed = _encoder.encode(state)
        _decoder(declared).decode(packed)
    except Exception as error:
        raise StateInvalid(f"state {declared.__name__} cannot be stored: {text(error)}") from error
    if len(packed) > limit:
        raise StateInvalid(
            f"state {declared.__name__} has {len(packed)} bytes; the limit is {limit}"
        )
    return packed


def load_state(packed: bytes, callbacks: Callbacks, version: int = 0) -> Any:
    """Reads `dump_state`.

    Raises:
        StateInvalid: today's code cannot read it.
    """
    name = callbacks.state.__name__
    if version > callbacks.state_version:
        raise StateInvalid(
            f"state {name} was stored with state_version {version}; this code knows "
            f"{callbacks.state_version}"
        )
    try:
        return _decoder(callbacks.state).decode(packed)
    except Exception as error:
        raise StateInvalid(f"state {name} cannot be read: {text(error)}") from error
