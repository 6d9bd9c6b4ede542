"""What services answer to commands, as records of the replies topic.

Key: the process UUID. Headers: `command-id`, and `outcome`: accepted or rejected. Value: the
reason, as JSON. Whatever else comes is ignored, and counted: anybody may write there.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from pmstream.core.engine import Reply
from pmstream.core.messages import ACCEPTED, COMMAND_ID, OUTCOME, REJECTED
from pmstream.core.routing import check_uuid
from pmstream.errors import InvalidRoute
from pmstream.runtime.commit import Out
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.nesting import is_too_deep

MAX_REASON_BYTES = 100_000
"""A reason that is longer is cut to this, and is a text then."""

ReadReply = tuple[str, Reply] | Out | None
"""The process UUID and its reply; a reply to pass on to its partition; None is no reply."""


def reply_reader(topic: str, partitions: int) -> Callable[[Record, int], ReadReply]:
    """How an instances worker reads one of the partitions of its replies."""

    def read(record: Record, number: int) -> ReadReply:
        try:
            uuid = check_uuid((record.key or b"").decode())
        except (UnicodeDecodeError, InvalidRoute):
            return None
        belongs = murmur2_partition(record.key or b"", partitions)
        if belongs != number:
            return Out(topic, record.key, record.value, record.headers, belongs)
        headers = dict(record.headers)
        command, outcome = headers.get(COMMAND_ID), headers.get(OUTCOME)
        if command is None or outcome not in (ACCEPTED, REJECTED):
            return None
        reply = Reply(command.decode(errors="replace"), outcome == ACCEPTED, _reason(record.value))
        return uuid, reply

    return read


def _reason(value: bytes | None) -> Any:
    """The reason as plain data; what is no JSON, or beyond a limit, is a text of some length."""
    if not value:
        return None
    if len(value) <= MAX_REASON_BYTES:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found = msgspec.json.decode(value)
            if not is_too_deep(found):
                return found
    return value[:MAX_REASON_BYTES].decode(errors="replace")
