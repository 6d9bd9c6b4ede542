"""Which Kafka client properties a deployment may pass through, and why the others are refused.

Rule: a property that exactly-once rests on, or that has a setting of its own, is never passed
through. The names are librdkafka's, aliases included.
"""

import re
from collections.abc import Iterable, Mapping

_OFFSETS = "positions are committed inside transactions and nowhere else"
_IDEMPOTENCE = "transactions need the idempotent producer with every in-sync replica's answer"
_ISOLATION = "reading uncommitted records would act on what never happened"
_RESET = "a lost position must stop the process manager, not jump over events"
_GROUP = "pmstream names its groups and members itself"
_TRANSACTION = "pmstream derives it from app, process manager, role and worker name"
_ASSIGNOR = "the protocol relies on cooperative rebalancing"
_PARTITIONER = "every record of a process must land in the partition that Java's default names"
_TOPICS = "a topic made by accident has the wrong partition count"
_OWN = "it has a setting of its own"
_INNER = "pmstream listens to the client itself"

REFUSED: dict[str, str] = {
    "enable.auto.commit": _OFFSETS,
    "auto.commit.enable": _OFFSETS,
    "auto.commit.interval.ms": _OFFSETS,
    "enable.auto.offset.store": _OFFSETS,
    "offset.store.method": _OFFSETS,
    "isolation.level": _ISOLATION,
    "auto.offset.reset": _RESET,
    "enable.partition.eof": _INNER,
    "group.id": _GROUP,
    "group.instance.id": _GROUP,
    "group.protocol": _OWN,
    "group.protocol.type": _GROUP,
    "group.remote.assignor": _ASSIGNOR,
    "partition.assignment.strategy": _ASSIGNOR,
    "session.timeout.ms": _OWN,
    "heartbeat.interval.ms": "it follows from session_timeout_ms",
    "max.poll.interval.ms": _OWN,
    "enable.idempotence": _IDEMPOTENCE,
    "enable.gapless.guarantee": _IDEMPOTENCE,
    "acks": _IDEMPOTENCE,
    "request.required.acks": _IDEMPOTENCE,
    "retries": _IDEMPOTENCE,
    "message.send.max.retries": _IDEMPOTENCE,
    "max.in.flight": _IDEMPOTENCE,
    "max.in.flight.requests.per.connection": _IDEMPOTENCE,
    "queuing.strategy": "records must leave in the order they were handed over",
    "transactional.id": _TRANSACTION,
    "transaction.timeout.ms": _OWN,
    "partitioner": _PARTITIONER,
    "allow.auto.create.topics": _TOPICS,
    "bootstrap.servers": _OWN,
    "metadata.broker.list": _OWN,
    "client.id": _OWN,
    "log_level": _INNER,
    "log.queue": _INNER,
    "logger": _INNER,
    "statistics.interval.ms": _INNER,
}
"""Property name -> the reason, readable after "because"."""


MASK = "***"

_SECRET = re.compile(
    r"password|passphrase|secret|token(?!\.endpoint)|\.key$|\.pem$|oauthbearer\.config|userinfo|jaas"
)
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_SHORTEST_SECRET = 3


def is_secret(name: str) -> bool:
    """Whether the value of a property of that name is never shown."""
    return _SECRET.search(name.lower()) is not None


def secrets_of(properties: Mapping[str, object]) -> list[str]:
    """The values among these that are never shown, the longest first.

    Those of one or two characters hide nothing, and would take every text apart.
    """
    found = {value for name, value in properties.items() if is_secret(name)}
    texts = [each for each in found if isinstance(each, str) and len(each) >= _SHORTEST_SECRET]
    return sorted(texts, key=len, reverse=True)


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """A text that may have come from the client, without these."""
    for each in secrets:
        text = text.replace(each, MASK)
    return without_credentials(text)


def without_credentials(text: str) -> str:
    """A text without the `name:password@` of addresses in it."""
    return _CREDENTIALS.sub(MASK + "@", text) if "@" in text else text


def forbidden(properties: Iterable[str]) -> list[str]:
    """Names what may not be passed through to the Kafka client.

    Args:
        properties: property names (a mapping will do).

    Returns:
        One sentence for each refused property, sorted; empty if all may pass.
    """
    return [
        f"Kafka property {name} cannot be set, because {reason}"
        for name in sorted(properties)
        if (reason := _reason(name))
    ]


def _reason(name: str) -> str | None:
    if name.endswith("_cb") or name.startswith("on_"):
        return _INNER
    return REFUSED.get(name.strip().lower())
