"""What a Kafka cluster tells about its brokers, topics, groups, and what we may do with them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined] # not re-exported for mypy
    ConfigResource,
    ResourceType,
)

from pmstream.runtime.kafka_admin import KafkaAdmin
from pmstream.runtime.kafka_errors import UNREACHABLE_AFTER, Noise, kafka_error, reason
from pmstream.runtime.log_errors import Again, Refused
from pmstream.runtime.survey import (
    BrokerFacts,
    ClusterFacts,
    GroupFacts,
    MemberFacts,
    PartitionFacts,
    TopicFacts,
)

BROKER_SECONDS = 5.0
"""How long each broker may take to answer; all are asked at once."""

_NEVER = 3600.0
_NOT_HERE = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC})  # noqa: SLF001
_API = re.compile(r"([^\s/]+:\d+)/(?:\d+|bootstrap): +ApiKey \S+ \((\d+)\) Versions \d+\.\.(\d+)")


class KafkaSurvey(KafkaAdmin):
    """`Survey` on Kafka.

    Args:
        settings: librdkafka settings shared by all clients.
        address: the bootstrap servers, for messages.
    """

    def __init__(self, settings: Mapping[str, Any], address: str) -> None:
        self._ear = _Ear()
        super().__init__({**settings, "debug": "feature"}, address, self._ear)

    def cluster(self) -> ClusterFacts:
        """The brokers, each asked by itself. Raises Unavailable."""
        self._metadata()  # its failure says why; that of the next question only that time is up
        told = self._answer(
            self._client.describe_cluster(request_timeout=UNREACHABLE_AFTER),
            "describing the cluster",
        )
        nodes = sorted(told.nodes, key=lambda node: int(node.id))
        asked = {node.id: self._ask_broker(node.id) for node in nodes}
        brokers = []
        for node in nodes:
            config, fault = _settings(asked[node.id])
            address = f"{node.host}:{node.port}"
            brokers.append((int(node.id), address, fault, config))
        self._heard()  # the lines that tell of APIs come now
        return ClusterFacts(
            told.cluster_id or "",
            tuple(
                BrokerFacts(number, address, fault, config, self._ear.apis.get(address, {}))
                for number, address, fault, config in brokers
            ),
        )

    def _ask_broker(self, number: int) -> "Future[Any]":
        """For its settings; this question goes to the broker itself."""
        resource = ConfigResource(ResourceType.BROKER, str(number))
        asked = self._client.describe_configs([resource], request_timeout=BROKER_SECONDS)
        return asked[resource]

    def describe_topics(self, names: Sequence[str]) -> tuple[dict[str, TopicFacts], frozenset[str]]:
        """Those of these topics that exist, and the names that we may not ask for."""
        found: dict[str, TopicFacts] = {}
        denied = set()
        if not names:
            return {}, frozenset()
        asked = self._client.describe_topics(
            TopicCollection(list(names)),
            include_authorized_operations=True,
            request_timeout=UNREACHABLE_AFTER,
        )
        for name, future in asked.items():
            try:
                found[name] = _topic(self._answer(future, f"describing topic {name}"))
            except Refused as refused:
                if _code(refused) not in _NOT_HERE:
                    denied.add(name)
        return found, frozenset(denied)

    def describe_groups(self, names: Sequence[str]) -> dict[str, GroupFacts]:
        """All of these groups. Raises Unavailable."""
        return {name: self._group(name) for name in names}

    def _group(self, name: str) -> GroupFacts:
        def ask() -> "Future[Any]":
            return self._client.describe_consumer_groups(
                [name], include_authorized_operations=True, request_timeout=_NEVER
            )[name]

        try:
            told = self._ask(ask, f"describing group {name}")
        except Refused as refused:
            is_denied = _code(refused) == KafkaError.GROUP_AUTHORIZATION_FAILED
            return GroupFacts(name, is_denied=is_denied)
        state = _word(told.state)
        return GroupFacts(
            name,
            "" if state == "dead" else state,
            _word(told.type),
            told.partition_assignor or "",
            tuple(_member(each) for each in told.members or ()),
            _operations(told.authorized_operations),
        )

    def library(self) -> str:
        """Version of librdkafka."""
        return str(ck.libversion()[0])

    def delete_topic(self, name: str) -> None:
        """Deletes a topic. Raises Refused, Unavailable."""
        asked = self._client.delete_topics([name], request_timeout=UNREACHABLE_AFTER)
        self._answer(asked[name], f"deleting topic {name}")

    def delete_group(self, name: str) -> None:
        """Deletes a group without members, if there is one.

        Raises:
            Again: it has members that are about to leave.
            Refused, Unavailable.
        """

        def ask() -> "Future[Any]":
            return self._client.delete_consumer_groups([name], request_timeout=_NEVER)[name]

        try:
            self._ask(ask, f"deleting group {name}")
        except Refused as refused:
            code = _code(refused)
            if code == KafkaError.NON_EMPTY_GROUP:
                raise Again(str(refused)) from refused
            if code != KafkaError.GROUP_ID_NOT_FOUND:
                raise


class _Ear(Noise):
    """Takes from librdkafka's lines what requests each broker knows; no call of it tells that."""

    def __init__(self) -> None:
        super().__init__()
        self.apis: dict[str, dict[int, int]] = {}

    def log(self, level: int, text: str, *values: object) -> None:
        found = _API.search(text % values if values else text)
        if found is not None:
            address, number, newest = found.groups()
            self.apis.setdefault(address, {})[int(number)] = int(newest)


def _code(refused: Refused) -> int | None:
    """Kafka's own number for it."""
    error = kafka_error(refused.__cause__) if refused.__cause__ else None
    return None if error is None else error.code()


def _settings(asked: "Future[Any]") -> tuple[dict[str, str] | None, str]:
    """A broker's settings if it shows them, and why it does not answer, if so."""
    try:
        entries = asked.result(BROKER_SECONDS + 1)
    except (KafkaException, TimeoutError) as raised:
        error = kafka_error(raised)
        is_answer = error is not None and error.code() == KafkaError.CLUSTER_AUTHORIZATION_FAILED
        return None, "" if is_answer else reason(raised)
    return {name: each.value for name, each in entries.items() if each.value is not None}, ""


def _topic(told: Any) -> TopicFacts:
    partitions = (
        PartitionFacts(each.id, _leader(each.leader), _ids(each.replicas), _ids(each.isr))
        for each in told.partitions
    )
    return TopicFacts(told.name, tuple(partitions), _operations(told.authorized_operations))


def _leader(node: Any) -> int | None:
    return None if node is None or int(node.id) < 0 else int(node.id)


def _ids(nodes: Iterable[Any] | None) -> tuple[int, ...]:
    return tuple(int(node.id) for node in nodes or ())


def _member(told: Any) -> MemberFacts:
    places = told.assignment.topic_partitions if told.assignment else ()
    name = told.group_instance_id or told.client_id
    return MemberFacts(name, told.host.lstrip("/"), frozenset(each.topic for each in places))


def _operations(told: Iterable[Any] | None) -> frozenset[str] | None:
    return None if told is None else frozenset(_word(each) for each in told)


def _word(told: Any) -> str:
    """A member of an enumeration as text: "describe_configs", "stable"."""
    return "" if told is None else str(told.name).lower()
