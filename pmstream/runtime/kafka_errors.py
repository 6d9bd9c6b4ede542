"""What confluent_kafka raises, in the words of the port: by what the catcher must do.

Rule: protocol §5 is the table; nothing of confluent_kafka gets past the `kafka*` modules.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from pmstream.properties import secrets_of, without_secrets
from pmstream.runtime.log import Fault, FaultKind, TopicPartition
from pmstream.runtime.log_errors import (
    Again,
    Fenced,
    LogError,
    MustAbort,
    MustGather,
    NotAllowed,
    OutcomeUnknown,
    Refused,
    Unavailable,
)

logger = logging.getLogger("pmstream.kafka")

UNREACHABLE_AFTER = 10.0
"""Seconds after which Kafka counts as unreachable."""

_FAILED = re.compile(r"FAIL \[[^\]]*\](?: \[[^\]]*\])?: (.+)", re.DOTALL)
"""librdkafka's line about a connection that failed: client, thread, and why."""

_FENCED = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED})  # noqa: SLF001

_UNKNOWN_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError._UNKNOWN_TOPIC,  # noqa: SLF001
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001
        KafkaError._NOENT,  # noqa: SLF001 - "no leaders found"
    }
)
_DENIED = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_STALE_MEMBER = frozenset(
    {
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError.FENCED_MEMBER_EPOCH,
    }
)
_TRANSIENT = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError._TRANSPORT,  # noqa: SLF001
        KafkaError._ALL_BROKERS_DOWN,  # noqa: SLF001
        KafkaError._RESOLVE,  # noqa: SLF001
        KafkaError._WAIT_COORD,  # noqa: SLF001
        KafkaError._WAIT_CACHE,  # noqa: SLF001
        KafkaError._IN_PROGRESS,  # noqa: SLF001
        KafkaError._RETRY,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.KAFKA_STORAGE_ERROR,
        KafkaError.NOT_CONTROLLER,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.CONCURRENT_TRANSACTIONS,
        KafkaError.NOT_ENOUGH_REPLICAS,
    }
)


def kafka_error(raised: BaseException) -> KafkaError | None:
    """The KafkaError inside a KafkaException; None if there is none."""
    if isinstance(raised, KafkaException) and raised.args:
        inner = raised.args[0]
        return inner if isinstance(inner, KafkaError) else None
    return None


def reason(raised: BaseException) -> str:
    """What went wrong, in the words of Kafka."""
    error = kafka_error(raised)
    if error is None:
        return str(raised) or type(raised).__name__
    return f"{error.name()}: {error.str()}{_remedy(error)}"


def _remedy(error: KafkaError) -> str:
    """Brokers hardly ever tell which permission it was."""
    if error.code() not in _DENIED:
        return ""
    return " (`pmstream doctor APP`, run as the same user, names each permission that is missing)"


RAISED = (KafkaException, SystemError, RuntimeError)
"""What a call of the client may raise that runs callbacks, or is about a transaction."""


def transaction_failure(raised: BaseException, doing: str) -> LogError:
    """What a failed call of a transactional producer means.

    Args:
        raised: whatever the call raised; a SystemError is a bug of the binding (F5).
        doing: what was tried, for the message.
    """
    error = kafka_error(raised)
    text = f"{doing} failed: {reason(raised)}"
    if error is None:
        return OutcomeUnknown(text)
    if error.code() in _FENCED:
        return Fenced(text)
    if error.fatal():
        return OutcomeUnknown(text)
    if error.code() in _DENIED:
        return NotAllowed(text)
    if error.txn_requires_abort():
        return MustGather(text) if error.code() in _STALE_MEMBER else MustAbort(text)
    if error.retriable():
        return Again(text)
    return OutcomeUnknown(text)


def is_transient(error: KafkaError) -> bool:
    """True if the same question may be answered a moment later."""
    return error.code() in _TRANSIENT or error.retriable()


def is_for_now(error: KafkaError) -> bool:
    """True if a partition cannot be asked at this moment: no leader, or no such topic yet."""
    return is_transient(error) or error.code() in _UNKNOWN_TOPIC


def request_failure(raised: BaseException, doing: str, address: str, heard: str = "") -> LogError:
    """What a failed question to the cluster means: Unavailable or Refused.

    Args:
        raised: what the client or its future raised.
        doing: what was tried, for the message.
        address: the bootstrap servers, for the message.
        heard: what the client last complained of, a better reason than a timeout.
    """
    error = kafka_error(raised)
    if isinstance(raised, TimeoutError) or (error is not None and is_transient(error)):
        return unavailable(address, heard or reason(raised))
    return Refused(f"{doing} was refused: {reason(raised)}")


def unavailable(address: str, reason: str) -> Unavailable:
    """The one sentence for a Kafka that does not answer."""
    return Unavailable(f"Kafka at {address} cannot be reached: {reason}")


def member_fault(error: KafkaError, where: TopicPartition | None, who: str) -> Fault | None:
    """What a message error means to a group member; None for noise that heals by itself.

    Args:
        error: the error of the message.
        where: the partition it came with.
        who: the member, for the text.
    """
    code = error.code()
    if code == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001
        text = f"{who} did not gather within max_poll_interval_ms and lost its partitions"
        return Fault(FaultKind.EXPELLED, text)
    if error.fatal() or code == KafkaError._FATAL:  # noqa: SLF001
        return Fault(FaultKind.FATAL, f"{who} can never work again: {error.str()}")
    if code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
        text = f"the position of {who} is not in the log: {error.str()}"
        return Fault(FaultKind.POSITION_LOST, text, where)
    if code in _UNKNOWN_TOPIC or code in _DENIED:
        of = "" if where is None else f" in {where.topic}-{where.partition}"
        return Fault(FaultKind.REFUSED, f"{who}{of}: {error.str()}{_remedy(error)}")
    logger.debug("%s: %s: %s", who, error.name(), error.str())
    return None


class Noise:
    """Takes librdkafka's own log lines and errors; keeps the last one as a reason to tell.

    Its lines tell of connections that come and go: debug, whatever librdkafka thinks.
    """

    def __init__(self) -> None:
        self.last = self._failed = ""
        self._secrets: list[str] = []

    def hide(self, settings: Mapping[str, Any]) -> None:
        """Secrets among these stand in no line, whatever the library writes."""
        self._secrets = secrets_of(settings)

    @property
    def heard(self) -> str:
        """The last error, else the last line that tells of a connection that failed."""
        return self.last or self._failed

    def log(self, level: int, text: str, *values: object) -> None:
        """What confluent_kafka calls for each log line of the library."""
        line = without_secrets(text % values if values else text, self._secrets)
        logger.debug("%s", line)
        found = _FAILED.match(line)
        if found is not None:
            self._failed = found[1]

    def error(self, error: KafkaError) -> None:
        """What confluent_kafka calls for errors that belong to no call."""
        said = without_secrets(error.str(), self._secrets)
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - says not why
            self.last = said
        logger.debug("%s: %s", error.name(), said)


def client_settings(shared: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
    """Completes the settings of one client: its noise goes to logging, not to stderr."""
    noise.hide(shared)
    return {**shared, "logger": noise, "error_cb": noise.error}
