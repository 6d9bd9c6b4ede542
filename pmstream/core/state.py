"""The author's state as msgpack: written only if it can be read back.

Rule: what would be stored must be what is read later; else it is as if apply() had raised.
"""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.answering import text
from pmstream.core.instance import Instance
from pmstream.core.process import Callbacks
from pmstream.errors import StateInvalid, StateNewer

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


def load_state(packed: bytes, callbacks: Callbacks, version: int) -> Any:
    """Reads `dump_state`; an older version goes through the upcasters first.

    Raises:
        StateInvalid: today's code cannot read it.
    """
    name = callbacks.state.__name__
    try:
        if version < callbacks.state_version and callbacks.upcasters:
            packed = _upcast(packed, callbacks, version)
        return _decoder(callbacks.state).decode(packed)
    except Exception as error:
        raise StateInvalid(
            f"state {name} of state_version {version} cannot be read: {text(error)}"
        ) from error


def check_version(instance: Instance | None, callbacks: Callbacks) -> None:
    """Refuses to touch what newer code wrote.

    Raises:
        StateNewer: the instance's state has a newer version than this code knows.
    """
    if instance is not None and instance.state_version > callbacks.state_version:
        raise StateNewer(
            f"a state {callbacks.state.__name__} was stored with state_version "
            f"{instance.state_version}; this code knows {callbacks.state_version}: it was rolled "
            "back, or the roll-out has not reached this worker yet"
        )


def _upcast(packed: bytes, callbacks: Callbacks, version: int) -> bytes:
    fields = msgspec.msgpack.decode(packed)
    for older in range(version, callbacks.state_version):
        if older in callbacks.upcasters:
            fields = callbacks.upcasters[older](fields)
    return _encoder.encode(fields)
