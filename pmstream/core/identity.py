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
    ids_of,
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


def asked_anew(command: Emitted) -> Emitted:
    """A rejected command as a new question: `~1`, `~2`, … behind the index of its id."""
    head, _, tail = command.id.rpartition("/")
    index, _, times = tail.partition("~")
    id = f"{head}/{index}~{int(times or 0) + 1}"
    headers = ((COMMAND_ID, id.encode()), *command.headers[1:])
    return Emitted(command.topic, command.key, command.value, headers, id)


def commands_of_cause(cause: Cause, process_manager: str) -> tuple[str, Headers]:
    """What all commands of a cause have in common.

    Returns:
        What their ids begin with, and the headers behind the command's id. An id is
        `<process uuid>/<cause>/<index>`, the same for every repeat; the cause is
        `<topic>-<partition>-<offset>`, for a timer `<born>/timer-<name>-<n>`.
    """
    place = cause.cause
    event_id, correlation_id = ids_of(cause, place)
    told = event_id.encode()
    headers = (
        (CORRELATION_ID, told if correlation_id is event_id else correlation_id.encode()),
        (CAUSATION_ID, told),
        (PROCESS_UUID, cause.process_uuid.encode()),
        (PROCESS_MANAGER, process_manager.encode()),
    )
    return f"{cause.process_uuid}/{place}/", headers


def reply_headers(topic: str, partition: int) -> Headers:
    """Headers that tell a service where to reply (confirm mode)."""
    return ((REPLY_TO, topic.encode()), (REPLY_PARTITION, str(partition).encode()))


def inherited_headers(routed: Cause) -> Headers:
    """The event's headers that its commands carry on: all but the ids and pmstream's own."""
    # A list first: a generator would cost more than the headers.
    return tuple(
        [
            header
            for header in routed.headers
            if header[0] not in _OURS and header[0][:3] != RESERVED_PREFIX
        ]
    )
