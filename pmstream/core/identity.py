"""Ids and headers of what goes out.

Rule: an id comes from its cause, never from chance, so that a repeat makes the same id.
"""

from pmstream.core.messages import (
    CAUSATION_ID,
    COMMAND_ID,
    CORRELATION_ID,
    EVENT_ID,
    PROCESS_MANAGER,
    PROCESS_UUID,
    REPLY_PARTITION,
    REPLY_TO,
    RESERVED_PREFIX,
    Cause,
    Emitted,
    Headers,
    Metadata,
)

_OURS = frozenset(
    {
        EVENT_ID,
        CORRELATION_ID,
        CAUSATION_ID,
        COMMAND_ID,
        PROCESS_UUID,
        PROCESS_MANAGER,
        REPLY_TO,
        REPLY_PARTITION,
    }
)


def command_id(cause: Cause, index: int) -> str:
    """`<process uuid>/<cause>/<index>`: the same for every repeat.

    The cause is `<topic>-<partition>-<offset>`, for a timer `<born>/timer-<name>-<n>`.
    """
    return f"{cause.process_uuid}/{cause.cause}/{index}"


def asked_anew(command: Emitted) -> Emitted:
    """A rejected command as a new question: `~1`, `~2`, … behind the index of its id."""
    head, _, tail = command.id.rpartition("/")
    index, _, times = tail.partition("~")
    id = f"{head}/{index}~{int(times or 0) + 1}"
    headers = ((COMMAND_ID, id.encode()), *command.headers[1:])
    return Emitted(command.topic, command.key, command.value, headers, id)


def command_headers(metadata: Metadata, id: str, inherited: Headers) -> Headers:
    """Headers of a command: its ids first, then the event's own (`inherited_headers`)."""
    return (
        (COMMAND_ID, id.encode()),
        (CORRELATION_ID, metadata.correlation_id.encode()),
        (CAUSATION_ID, metadata.event_id.encode()),
        (PROCESS_UUID, metadata.process_uuid.encode()),
        (PROCESS_MANAGER, metadata.process_manager.encode()),
        *inherited,
    )


def reply_headers(topic: str, partition: int) -> Headers:
    """Headers that tell a service where to reply (confirm mode)."""
    return ((REPLY_TO, topic.encode()), (REPLY_PARTITION, str(partition).encode()))


def inherited_headers(routed: Cause) -> Headers:
    """The event's headers that its commands carry on: all but the ids and pmstream's own."""
    if not routed.headers:
        return ()
    # A list first: a generator would cost more than the headers.
    return tuple(
        [
            header
            for header in routed.headers
            if header[0] not in _OURS and header[0][:3] != RESERVED_PREFIX
        ]
    )
