"""The log on Kafka: hands out members, readers and producers with the settings of the protocol.

Rule: this module and its `kafka_*` neighbours are the only door to confluent_kafka.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import confluent_kafka as ck
from confluent_kafka import KafkaException

from pmstream.errors import ConfigurationError
from pmstream.properties import forbidden, secrets_of, without_secrets
from pmstream.runtime.kafka_admin import KafkaAdmin
from pmstream.runtime.kafka_consumer import KafkaConsumer
from pmstream.runtime.kafka_errors import (
    UNREACHABLE_AFTER,
    Noise,
    client_settings,
    is_for_now,
    reason,
    request_failure,
)
from pmstream.runtime.kafka_producer import KafkaProducer, abort_open
from pmstream.runtime.kafka_reader import KafkaReader
from pmstream.runtime.kafka_records import close
from pmstream.runtime.kafka_refusals import explained
from pmstream.runtime.kafka_survey import KafkaSurvey
from pmstream.runtime.kafka_writer import KafkaWriter
from pmstream.runtime.log import Committed, TopicPartition

MOST_MESSAGE_BYTES = 100_000_000
"""What our producers let through unless the deployment says less: what a consumer can fetch."""

_SHARED: dict[str, Any] = {
    "reconnect.backoff.max.ms": 500,
    "topic.metadata.propagation.max.ms": 5_000,  # until a topic nobody knows is an error
    # A consumer asks once for new leaders when a broker dies, which is before there are any; then
    # again after this time only. By default 5 min of a broker's death were a stall of 5 min.
    "topic.metadata.refresh.interval.ms": 5_000,
    "enable.metrics.push": False,
    # "rebootstrap", the default, throws all brokers away when none can be reached, coordinators
    # among them: a transaction's offsets then wait for one of those for ever (librdkafka #5511).
    "metadata.recovery.strategy": "none",
}
_CONSUMER: dict[str, Any] = {
    "fetch.queue.backoff.ms": 20,  # 1000 by default: ten times slower
    "fetch.wait.max.ms": 100,
    "queued.max.messages.kbytes": 16_384,
}
_CONSUMER_FIXED: dict[str, Any] = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "auto.offset.reset": "error",
    "allow.auto.create.topics": False,
}
_PRODUCER: dict[str, Any] = {
    "linger.ms": 5,
    "compression.type": "lz4",
    # What a source takes, an inbox takes, and so must we: at the client's 1 MB an event of a little
    # more would stop its router for good. The topics' own limits count.
    "message.max.bytes": MOST_MESSAGE_BYTES,
}
_PRODUCER_FIXED: dict[str, Any] = {"enable.idempotence": True, "partitioner": "murmur2_random"}
_TRANSACTIONAL: dict[str, Any] = {
    # CONCURRENT_TRANSACTIONS is retried at this pace: 181 instead of 11 commits a second (F6).
    "retry.backoff.ms": 1,
    "retry.backoff.max.ms": 5,
}


class KafkaLog(KafkaAdmin):
    """`Log` on a Kafka cluster.

    Args:
        bootstrap_servers: `host:port`, several separated by commas.
        properties: librdkafka properties to pass through (security, buffers).
        session_timeout_ms: until a silent classic member counts as dead.
        max_poll_interval_ms: until a member that does not gather loses its partitions.
        transaction_timeout_ms: until the broker aborts a transaction by itself.
        group_protocol: "classic", or "consumer" (KIP-848); the latter knows no static members,
            because one that is killed and restarted would be refused until its session ends.
        client_id: how the brokers' logs and `members` call a client without a name of its own.

    Raises:
        ConfigurationError: a property is unknown, malformed or not to be passed through.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        properties: Mapping[str, str] = {},
        *,
        session_timeout_ms: int = 10_000,
        max_poll_interval_ms: int = 120_000,
        transaction_timeout_ms: int = 60_000,
        group_protocol: Literal["classic", "consumer"] = "classic",
        client_id: str = "pmstream",
    ) -> None:
        faults = forbidden(properties)
        if faults:
            raise ConfigurationError(*faults)
        self._properties = dict(properties)
        self._fixed = {"bootstrap.servers": bootstrap_servers, "client.id": client_id}
        self._session_timeout_ms = session_timeout_ms
        self._max_poll_interval_ms = max_poll_interval_ms
        self._transaction_timeout_ms = transaction_timeout_ms
        self._group_protocol = group_protocol
        try:
            super().__init__({**_SHARED, **self._properties, **self._fixed}, bootstrap_servers)
        except KafkaException as raised:
            said = explained(reason(raised), self._properties)
            said = without_secrets(said, secrets_of(self._properties))
            raise ConfigurationError(f"Kafka client: {said}") from raised

    def consumer(self, group: str, member: str | None = None) -> KafkaConsumer:
        """A member of `group`; `member` is its static name (KIP-345), None for a dynamic one."""
        settings: dict[str, Any] = {
            **self._consumer_settings(group, committed=True),
            "max.poll.interval.ms": self._max_poll_interval_ms,
        }
        if member is not None:
            settings["client.id"] = member
        if self._group_protocol == "consumer":
            settings["group.protocol"] = "consumer"
        else:
            settings["partition.assignment.strategy"] = "cooperative-sticky"
            settings["session.timeout.ms"] = self._session_timeout_ms
            # A takeover waits for the next heartbeat of those who live: at most a twelfth more.
            settings["heartbeat.interval.ms"] = max(1, self._session_timeout_ms // 12)
            if member is not None:
                settings["group.instance.id"] = member
        return KafkaConsumer(settings, f"member {member or 'without a name'} of group {group}")

    def reader(self, *, committed: bool = True, bare: bool = False) -> KafkaReader:
        """See `Log.reader`."""
        name = f"{self._fixed['client.id']}.reader"  # librdkafka wants a group; assign() joins none
        return KafkaReader(self._consumer_settings(name, committed=committed), bare=bare)

    def producer(self, transactional_id: str) -> KafkaProducer:
        """A producer, after what its id left open was aborted or completed.

        Raises:
            Unavailable, Refused.
        """
        return KafkaProducer(self._transactional_settings(transactional_id), self._address)

    def writer(self) -> KafkaWriter:
        """A producer without transactions."""
        return KafkaWriter(self._settings(_PRODUCER, _PRODUCER_FIXED))

    def abort_open(
        self, transactional_id: str, timeout: float, is_enough: Callable[[], bool] = lambda: False
    ) -> None:
        """Ends whatever transaction that id has open, and fences its owner (takeover).

        Ready when `is_enough` says that what was wanted shows.

        Raises:
            Again (not done in `timeout` seconds), Refused.
        """
        settings = self._transactional_settings(transactional_id)
        abort_open(settings, self._address, timeout, is_enough)

    def survey(self) -> KafkaSurvey:
        """Asks the cluster about itself, by a client of its own."""
        return KafkaSurvey({**_SHARED, **self._properties, **self._fixed}, self._address)

    def last_committed(
        self, group: str, partitions: Sequence[TopicPartition]
    ) -> dict[TopicPartition, Committed]:
        """The group's last known positions at once, pending ones not seen (F2).

        By a consumer that never joins: librdkafka's admin call for it ends the whole process
        when a coordinator answers that it is none (librdkafka issue 5040).
        """
        if not partitions:
            return {}
        doing = f"reading the positions of {group}"
        client = ck.Consumer(self._consumer_settings(group, committed=False))
        try:
            answers = client.committed(
                [ck.TopicPartition(*p) for p in partitions], UNREACHABLE_AFTER
            )
        except KafkaException as raised:
            raise request_failure(raised, doing, self._address) from raised
        finally:
            close(client)
        found = {}
        for each in answers:
            if each.error is not None and not is_for_now(each.error):
                raise request_failure(KafkaException(each.error), doing, self._address)
            if each.error is None and each.offset >= 0:
                where = TopicPartition(each.topic, each.partition)
                found[where] = Committed(each.offset, each.metadata or "")
        return found

    def _consumer_settings(self, group: str, *, committed: bool) -> dict[str, Any]:
        isolation = "read_committed" if committed else "read_uncommitted"
        fixed = {**_CONSUMER_FIXED, "group.id": group, "isolation.level": isolation}
        return self._settings(_CONSUMER, fixed)

    def _transactional_settings(self, transactional_id: str) -> dict[str, Any]:
        fixed = {
            **_PRODUCER_FIXED,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": self._transaction_timeout_ms,
        }
        return self._settings({**_PRODUCER, **_TRANSACTIONAL}, fixed)

    def _settings(self, ours: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
        """Our defaults, then what the deployment passes, then what the protocol rests on."""
        all_of_them = {**_SHARED, **ours, **self._properties, **self._fixed, **fixed}
        return client_settings(all_of_them, Noise())
