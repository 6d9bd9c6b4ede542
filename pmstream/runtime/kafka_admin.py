"""Questions to a Kafka cluster about topics, offsets and groups, and orders to it."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

import confluent_kafka as ck
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    TopicCollection,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined] # not re-exported for mypy
    AdminClient,
    ConfigResource,
    NewTopic,
    OffsetSpec,
    ResourceType,
)

from pmstream.runtime.kafka_errors import (
    UNREACHABLE_AFTER,
    Noise,
    client_settings,
    is_for_now,
    is_transient,
    kafka_error,
    reason,
    request_failure,
    unavailable,
)
from pmstream.runtime.kafka_refusals import explained
from pmstream.runtime.log import Committed, TopicInfo, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import Again, LogError, Refused, Unavailable

_EARLIEST: OffsetSpec = OffsetSpec.earliest()  # type: ignore[no-untyped-call]
_LATEST: OffsetSpec = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_OFFSETS_TIMEOUT, _SHORT_TIMEOUT, _SHORT_FOR = 3.0, 0.3, 5.0
_VISIBLE_AFTER = 30.0
_PAUSE = 0.1
_NEVER = 3600.0
"""Request timeout of questions to a coordinator; we stop waiting for the answer long before.

If librdkafka itself gives up, a FindCoordinator that is answered afterwards ends the process
(assertion `eonce->refcnt > 0`, librdkafka 2.16.0, seen with a broker paused for 20 s).
"""
_NO_GROUP = frozenset({KafkaError.GROUP_ID_NOT_FOUND, KafkaError.INVALID_GROUP_ID})


class KafkaAdmin:
    """The half of `Log` that asks and orders.

    Args:
        settings: librdkafka settings shared by all clients.
        address: the bootstrap servers, for messages.
        noise: hears the client's lines and errors; None: one of its own.
    """

    def __init__(
        self, settings: Mapping[str, Any], address: str, noise: Noise | None = None
    ) -> None:
        self._address, self._given = address, settings
        self._noise = noise or Noise()
        # Kept for good: futures die with their client, and it is falsy, so never test it (F1).
        self._client = AdminClient(client_settings(settings, self._noise))
        self._short_until = self._look_at = 0.0

    def topics(self) -> dict[str, TopicInfo]:
        """All topics but Kafka's internal ones. Raises Unavailable."""
        names = list(self._metadata().topics)
        if not names:
            return {}
        asked = self._client.describe_topics(
            TopicCollection(names), request_timeout=UNREACHABLE_AFTER
        )
        found = {}
        for name, future in asked.items():
            try:
                topic = self._answer(future, f"describing {name}")
            except Refused:
                continue  # deleted since it was listed, or hidden from us
            if not topic.is_internal:
                found[name] = TopicInfo(name, str(topic.topic_id), len(topic.partitions))
        return found

    def create_topics(self, specs: Sequence[TopicSpec]) -> None:
        """Makes topics, and waits until their leaders answer. Raises Refused, Unavailable."""
        if not specs:
            return
        new = [
            NewTopic(
                spec.name,
                num_partitions=spec.partitions,
                replication_factor=-1 if spec.replication is None else spec.replication,
                config=dict(spec.config),
            )
            for spec in specs
        ]
        asked = self._client.create_topics(new, request_timeout=UNREACHABLE_AFTER)
        refused = []
        for name, future in asked.items():
            try:
                self._answer(future, f"making topic {name}")
            except Refused as refusal:
                refused.append(str(refusal))
        if refused:
            raise Refused("\n".join(refused))
        self._await_visible(specs)

    def _await_visible(self, specs: Sequence[TopicSpec]) -> None:
        """Any broker may be asked next: as many answers as brokers must show every leader."""
        until = time.monotonic() + _VISIBLE_AFTER
        seen = 0
        while True:
            metadata = self._metadata()
            seen = seen + 1 if all(_has_leaders(metadata, spec) for spec in specs) else 0
            if seen >= len(metadata.brokers):
                break
            if time.monotonic() > until:
                raise unavailable(self._address, "new topics do not show up in its metadata")
            time.sleep(0 if seen else 0.02)
        first = [TopicPartition(s.name, p) for s in specs for p in range(s.partitions)]
        while None in self._offsets(first, _EARLIEST, stable=False).values():
            if time.monotonic() > until:
                raise unavailable(self._address, "leaders of new topics do not answer")
            time.sleep(0.02)

    def config(self, topic: str) -> dict[str, str]:
        """The topic's settings in force. Raises Refused, Unavailable."""
        resource = ConfigResource(ResourceType.TOPIC, topic)
        asked = self._client.describe_configs([resource], request_timeout=UNREACHABLE_AFTER)
        entries = self._answer(asked[resource], f"reading the settings of {topic}")
        return {name: entry.value for name, entry in entries.items() if entry.value is not None}

    def start(self, partition: TopicPartition) -> int | None:
        """The low watermark; None when it cannot be told now."""
        return self._offsets([partition], _EARLIEST, stable=False)[partition]

    def end(self, partition: TopicPartition, *, stable: bool) -> int | None:
        """The LSO (stable) or the high watermark; None when it cannot be told now."""
        return self._offsets([partition], _LATEST, stable=stable)[partition]

    def offset_at(self, partition: TopicPartition, timestamp: int) -> int | None:
        """The first offset of that time or later, else the end; None when it cannot be told."""
        end = self.end(partition, stable=False)  # before: what comes in between is younger
        spec: OffsetSpec = OffsetSpec.for_timestamp(timestamp)
        at = self._offsets([partition], spec, stable=False)[partition]
        return end if at is None or end is None else at

    def _offsets(
        self, partitions: Iterable[TopicPartition], spec: OffsetSpec, *, stable: bool
    ) -> dict[TopicPartition, int | None]:
        """Asks leaders; who asks for many partitions waits only once for a broker that is away."""
        level = IsolationLevel.READ_COMMITTED if stable else IsolationLevel.READ_UNCOMMITTED
        is_short = time.monotonic() < self._short_until
        timeout = _SHORT_TIMEOUT if is_short else _OFFSETS_TIMEOUT
        asked = self._client.list_offsets(
            {ck.TopicPartition(*p): spec for p in partitions},
            isolation_level=level,
            request_timeout=timeout,
        )
        found: dict[TopicPartition, int | None] = {}
        for where, future in asked.items():
            try:
                offset = future.result(timeout + 1).offset
            except (KafkaException, TimeoutError) as raised:
                error = kafka_error(raised)
                if error is not None and not is_for_now(error):
                    doing = f"reading offsets of {where.topic}-{where.partition}"
                    raise request_failure(raised, doing, self._address) from raised
                offset = -1
            # Negative without an error while a leader is away (F1).
            found[TopicPartition(where.topic, where.partition)] = offset if offset >= 0 else None
        if None in found.values():
            self._look_again()
            if not is_short:
                self._short_until = time.monotonic() + _SHORT_FOR
        return found

    def _look_again(self) -> None:
        """The client asks the leader and epoch that it knows, dead or not, and for no newer one."""
        if time.monotonic() < self._look_at:
            return
        with suppress(KafkaException):
            self._client.list_topics(timeout=_SHORT_TIMEOUT)
        self._look_at = time.monotonic() + _SHORT_TIMEOUT

    def set_positions(self, group: str, positions: Mapping[TopicPartition, Committed]) -> None:
        """Stores positions for a group without members, all or none. Raises Refused."""
        if not positions:
            return
        self._check_positions(group, positions)
        request = ConsumerGroupTopicPartitions(
            group, [ck.TopicPartition(t, p, at, text) for (t, p), (at, text) in positions.items()]
        )
        doing = f"setting positions of {group}"

        def ask() -> "Future[Any]":
            return self._client.alter_consumer_group_offsets(
                [request], request_timeout=UNREACHABLE_AFTER
            )[group]

        answer = self._ask(ask, doing)
        for p in answer.topic_partitions:
            if p.error is not None:
                raise Refused(f"{doing} was refused for {p.topic}-{p.partition}: {p.error.str()}")

    def _check_positions(self, group: str, positions: Mapping[TopicPartition, Committed]) -> None:
        members = self.members(group)
        if members:
            raise Refused(f"group {group} has members ({', '.join(members)}): stop them first")
        topics = self._metadata().topics
        for topic, partition in positions:
            if topic not in topics or partition not in topics[topic].partitions:
                raise Refused(f"there is no partition {partition} of a topic {topic}")

    def members(self, group: str) -> list[str]:
        """Static names (or client ids) of the group's members of this moment."""

        def ask() -> "Future[Any]":
            return self._client.describe_consumer_groups([group], request_timeout=_NEVER)[group]

        try:
            answer = self._ask(ask, f"describing group {group}")
        except _NoGroup:
            return []
        return [m.group_instance_id or m.client_id for m in answer.members or ()]

    def delete_records(self, positions: Mapping[TopicPartition, int]) -> None:
        """Deletes all records below these positions. Raises Refused, Again."""
        if not positions:
            return
        asked = self._client.delete_records(
            [ck.TopicPartition(t, p, at) for (t, p), at in positions.items()],
            request_timeout=UNREACHABLE_AFTER,
        )
        refused: LogError | None = None
        for where, future in asked.items():
            try:
                future.result(UNREACHABLE_AFTER + 1)
            except (KafkaException, TimeoutError) as raised:
                error = kafka_error(raised)
                text = f"deleting records of {where.topic}-{where.partition}: {reason(raised)}"
                again = error is None or is_transient(error)
                if refused is None or not again:
                    refused = Again(text) if again else Refused(text)
        if refused is not None:
            raise refused

    def _metadata(self) -> Any:
        try:
            return self._client.list_topics(timeout=UNREACHABLE_AFTER)
        except KafkaException as raised:
            raise unavailable(self._address, self._heard() or reason(raised)) from raised

    def _ask(self, ask: Callable[[], "Future[Any]"], doing: str) -> Any:
        """Asks a coordinator, and again while it is only about to become one."""
        until = time.monotonic() + UNREACHABLE_AFTER
        while True:
            try:
                return self._answer(ask(), doing, until - time.monotonic())
            except Unavailable:
                if time.monotonic() + _PAUSE >= until:
                    raise
                time.sleep(_PAUSE)

    def _answer(self, future: "Future[Any]", doing: str, timeout: float | None = None) -> Any:
        try:
            return future.result(UNREACHABLE_AFTER + 1 if timeout is None else timeout)
        except (KafkaException, TimeoutError) as raised:
            error = kafka_error(raised)
            if error is not None and error.code() in _NO_GROUP:
                raise _NoGroup(error.str()) from raised
            raise request_failure(raised, doing, self._address, self._heard()) from raised

    def _heard(self) -> str:
        self._client.poll(0)  # runs the callbacks that bring it
        return explained(self._noise.heard, self._given)


class _NoGroup(Refused):
    """Nobody has ever used this group."""


def _has_leaders(metadata: Any, spec: TopicSpec) -> bool:
    topic = metadata.topics.get(spec.name)
    if topic is None or topic.error is not None or len(topic.partitions) != spec.partitions:
        return False
    return all(p.leader >= 0 and p.error is None for p in topic.partitions.values())
