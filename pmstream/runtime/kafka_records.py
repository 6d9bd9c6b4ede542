"""Messages of confluent_kafka as records of the port: the hot path of every read."""

from collections.abc import Callable
from typing import Any

import confluent_kafka as ck

from pmstream.runtime.kafka_errors import logger
from pmstream.runtime.log import Record, TopicPartition

OnError = Callable[[Any, list[Record]], None]


def translate(messages: list[Any], records: list[Record], on_error: OnError) -> None:
    """Appends the records among these messages; hands messages that are errors to `on_error`."""
    append = records.append
    for m in messages:
        if m.error() is not None:
            on_error(m, records)
            continue
        headers = m.headers()
        append(
            Record(
                m.topic(),
                m.partition(),
                m.offset(),
                m.timestamp()[1],
                m.key(),
                m.value(),
                tuple(headers) if headers else (),
            )
        )


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
