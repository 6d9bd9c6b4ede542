"""The reply of a service to a command that asks for one (`dispatch="confirm"`).

For services in Python: consume commands read_committed, do what they say, and produce the reply in
the same transaction. A command that comes again (its id is known) is answered again.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from pmstream.core.messages import (
    ACCEPTED,
    COMMAND_ID,
    OUTCOME,
    PROCESS_UUID,
    REJECTED,
    REPLY_PARTITION,
    REPLY_TO,
    Headers,
)

Given = Mapping[str, bytes | None] | Iterable[tuple[str, bytes | None]]
"""A command's headers, as confluent-kafka's `Message.headers()` has them, or as a mapping."""


class Answer(Struct, frozen=True):
    """A record to produce; its fields are the arguments of confluent-kafka's `produce`.

    Attributes:
        topic, partition: where the process manager waits for it.
        key: the process UUID.
        value: the reason as JSON; None when there is none.
        headers: the command's id and the outcome.
    """

    topic: str
    partition: int
    key: bytes
    value: bytes | None
    headers: Headers


def accept(headers: Given | None) -> Answer | None:
    """The command was done.

    Args:
        headers: of the command.

    Returns:
        None when the command asks for no reply.

    Raises:
        ValueError: the headers ask for a reply but do not say all that it needs.
    """
    return _answer(headers, ACCEPTED, None)


def reject(headers: Given | None, reason: Any = None) -> Answer | None:
    """The command was not done; `error` receives CommandRejected with the reason.

    Args:
        headers: of the command.
        reason: plain data that JSON can hold; it comes back as it is.

    Returns:
        None when the command asks for no reply.

    Raises:
        ValueError: the headers ask for a reply but do not say all that it needs.
        TypeError: the reason is no plain data.
    """
    return _answer(headers, REJECTED, reason)


def _answer(headers: Given | None, outcome: bytes, reason: Any) -> Answer | None:
    given = dict(headers or ())
    if not given.get(REPLY_TO):
        return None
    command, uuid, partition = (
        given.get(name) or b"" for name in (COMMAND_ID, PROCESS_UUID, REPLY_PARTITION)
    )
    if not command or not uuid or not partition.isdigit():
        raise ValueError(
            f"the command has {REPLY_TO} but not all of {COMMAND_ID}, {PROCESS_UUID} and "
            f"{REPLY_PARTITION}: pass its headers on as they came"
        )
    return Answer(
        topic=(given[REPLY_TO] or b"").decode(),
        partition=int(partition),
        key=uuid,
        value=None if reason is None else msgspec.json.encode(reason),
        headers=((COMMAND_ID, command), (OUTCOME, outcome)),
    )
