"""A reader of named partitions on Kafka, outside of any group."""

from collections.abc import Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka import KafkaError

from pmstream.runtime.kafka_errors import member_fault
from pmstream.runtime.kafka_records import close, message_partition, translate, translate_bare
from pmstream.runtime.log import FaultKind, Record, TopicPartition
from pmstream.runtime.log_errors import LogError, PositionLost, Refused


class KafkaReader:
    """`Reader` on Kafka.

    Args:
        settings: all librdkafka settings of the reader, its isolation among them.
        bare: whether records come without headers and times.
    """

    def __init__(self, settings: Mapping[str, Any], *, bare: bool = False) -> None:
        self._client = ck.Consumer(dict(settings))
        self._translate = translate_bare if bare else translate
        self._failure: LogError | None = None
        self._assigned: Mapping[TopicPartition, int] = {}
        self._started: Mapping[TopicPartition, int] = {}  # what is assigned, once `read` was called

    def assign(self, positions: Mapping[TopicPartition, int]) -> None:
        """Follows exactly these partitions from these positions."""
        self._failure = None
        self._assigned, self._started = dict(positions), {}
        self._client.assign([ck.TopicPartition(t, p, at) for (t, p), at in positions.items()])

    def read(self, max_records: int, timeout: float) -> list[Record]:
        """Answers records at hand; raises PositionLost until `assign` mends it."""
        if self._failure is not None:
            raise self._failure
        self._started = self._assigned
        records: list[Record] = []
        first = self._client.poll(timeout)
        if first is not None:
            self._translate([first], records, self._fault)
            self._translate(self._client.consume(max_records - 1, 0), records, self._fault)
        if self._failure is not None and not records:
            raise self._failure
        return records

    def _fault(self, message: Any, _records: list[Record]) -> None:
        self._failure = self._failure or _failure(message.error(), message_partition(message))

    def position(self, partition: TopicPartition) -> int | None:
        """The next offset to read; None before the first `read`."""
        if partition not in self._started:
            return None
        at = self._client.position([ck.TopicPartition(*partition)])[0].offset
        # librdkafka says -1001 until the first record or marker (F1), for ever at a quiet end.
        return self._started[partition] if at < 0 else at

    def close(self) -> None:
        """Frees it. Never raises."""
        close(self._client)


def _failure(error: KafkaError, where: TopicPartition | None) -> LogError | None:
    fault = member_fault(error, where, "a reader")
    if fault is None or error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return None  # a reader uses no group, librdkafka asks for its coordinator all the same
    if fault.kind is FaultKind.POSITION_LOST and where is not None:
        return PositionLost(where, fault.text)
    return Refused(fault.text)
