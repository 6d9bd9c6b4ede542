"""What librdkafka hands over - messages, statistics, metadata - in the words of the port."""

import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from operator import methodcaller
from typing import Any

import confluent_kafka as ck
import msgspec
from confluent_kafka import KafkaException

from pmstream.core.messages import MOST_HEADERS
from pmstream.runtime.kafka_errors import logger
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.log_errors import Refused

# The binding answers *and* leaves an exception behind when a header's name is not UTF-8. Python's
# specialised method call does not look, and a later call fails in its place; this one looks.
_headers_of = methodcaller("headers")

HEARD_SECONDS = 0.5
"""So long the close of a member that was never given anything waits: it may be on its way."""

CLOSE_SECONDS = 10.0
"""What the close of a group's member may take: it commits nothing and says good-bye at most."""

_STEP_SECONDS = 0.01
_METADATA_MAGIC = b"CGMDv2:"
OnError = Callable[[Any, list[Record]], None]


def translate(messages: list[Any], records: list[Record], on_error: OnError) -> None:
    """Appends the records among these messages; hands messages that are errors to `on_error`.

    A record with a header whose name is not UTF-8 comes without headers: the binding cannot
    decode them, and raising would stop at that record for ever. One with too many comes with one
    more than there may be, so that it shows.
    """
    append, headers_of = records.append, _headers_of
    for m in messages:
        if m.error() is not None:
            on_error(m, records)
            continue
        try:
            headers = headers_of(m)
        except SystemError:
            headers = None
        append(
            Record(
                m.topic(),
                m.partition(),
                m.offset(),
                m.timestamp()[1],
                m.key(),
                m.value(),
                tuple(headers[: MOST_HEADERS + 1]) if headers else (),
            )
        )


def translate_bare(messages: list[Any], records: list[Record], on_error: OnError) -> None:
    """As `translate`, without headers and times: a restore reads millions, and needs neither."""
    append = records.append
    for m in messages:
        if m.error() is None:
            append(Record(m.topic(), m.partition(), m.offset(), 0, m.key(), m.value()))
        else:
            on_error(m, records)


def message_partition(message: Any) -> TopicPartition | None:
    """The partition that an error message speaks of; None if it speaks of none."""
    topic, partition = message.topic(), message.partition()
    if topic is None:
        return None
    return TopicPartition(topic, -1 if partition is None else partition)


def named(partition: TopicPartition) -> str:
    """A partition as messages name it."""
    return f"{partition.topic}-{partition.partition}"


def close(client: ck.Consumer) -> None:
    """Closes a consumer, whatever state it is in."""
    try:
        client.close()
    except Exception as raised:  # noqa: BLE001
        logger.debug("closing a consumer: %s", raised)


def close_member(client: ck.Consumer, is_heard: Callable[[], bool]) -> None:
    """Closes a group's member; leaves it behind if librdkafka does not come back.

    An assignment that comes while it closes is taken within the close; librdkafka then takes the
    group for done with, and destroys what its next callback asks without an answer: it waits for
    ever (librdkafka issue 4884), and the binding keeps Python's lock meanwhile. So the group is
    heard out first.

    Args:
        client: the member's.
        is_heard: whether the group has told it what it is given.
    """
    until = time.monotonic() + HEARD_SECONDS
    with suppress(KafkaException, RuntimeError):  # it cannot be asked any more, or is closed
        client.poll(0)
        while not is_heard() and time.monotonic() < until:
            client.poll(_STEP_SECONDS)
    closing = threading.Thread(target=close, args=(client,), name="closing", daemon=True)
    closing.start()
    closing.join(CLOSE_SECONDS)
    if closing.is_alive():
        logger.warning("a consumer did not close in %s s; it is left behind", CLOSE_SECONDS)


def parse_metadata(token: bytes) -> tuple[int, str]:
    """Generation and member id out of librdkafka's serialised group metadata.

    Raises:
        Refused: another layout, so the guard of §2.3 could not be held.
    """
    if not token.startswith(_METADATA_MAGIC):
        raise Refused(
            f"this librdkafka writes group metadata as {token[:8]!r}, unknown to pmstream"
        )
    at = len(_METADATA_MAGIC)
    (generation,) = struct.unpack_from("=i", token, at)
    _group, member, *_ = token[at + 4 :].split(b"\0")
    return generation, member.decode()


class _PartitionStatistics(msgspec.Struct):
    ls_offset: int = -1
    hi_offset: int = -1


class _TopicStatistics(msgspec.Struct):
    partitions: dict[str, _PartitionStatistics] = {}


class _Statistics(msgspec.Struct):
    topics: dict[str, _TopicStatistics] = {}


class Ends:
    """Remembers the last stable offsets that librdkafka's statistics told of."""

    def __init__(self) -> None:
        self._decode = msgspec.json.Decoder(_Statistics).decode
        self._known = _Statistics()

    def learn(self, statistics: str) -> None:
        """Takes one report (a `stats_cb`)."""
        self._known = self._decode(statistics)

    def readable(self, partition: TopicPartition, position: int, high: int) -> int:
        """The offset up to which committed records can be read.

        Args:
            partition: which one.
            position: the next offset to read.
            high: the high watermark of the last fetch.

        Returns:
            The last stable offset while a transaction is known to be open, else `high`.
        """
        topic = self._known.topics.get(partition.topic)
        known = topic.partitions.get(str(partition.partition)) if topic else None
        # A position above it proves that the transaction has ended since.
        if known is not None and position <= known.ls_offset < known.hi_offset:
            return known.ls_offset
        return high


def names_of(partitions: Iterable[ck.TopicPartition]) -> list[TopicPartition]:
    """The client's partitions in our words."""
    return [TopicPartition(each.topic, each.partition) for each in partitions]
