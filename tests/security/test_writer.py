"""A writer whose credentials may look at a topic, and nothing else."""

import time

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ has no __all__
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.log_errors import Refused
from tests.security.kit import PATIENCE, Secured

TOPIC = "looked-at"


def may_look(secured: Secured) -> None:
    rule = AclBinding(
        ResourceType.TOPIC,
        TOPIC,
        ResourcePatternType.LITERAL,
        "User:*",
        "*",
        AclOperation.DESCRIBE,
        AclPermissionType.ALLOW,
    )
    for each in secured.admin.create_acls([rule]).values():
        each.result()


@pytest.mark.kafka
def test_it_is_refused_with_the_brokers_reason(secured: Secured) -> None:
    """The client ends by a fatal error while it flushes, and what it calls then must not touch it.

    It raised SystemError then, or an object that no `except` names and that ended the process. The
    binding may lose the reason while it calls back: then what the record met is told.
    """
    KafkaLog(secured.cluster.bootstrap_servers).create_topics([TopicSpec(TOPIC, 1)])
    may_look(secured)
    log = KafkaLog(secured.doors["tls"].address, secured.certificates.client("locked"))
    deadline = time.monotonic() + PATIENCE
    while TOPIC not in log.topics():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    writer = log.writer()
    writer.produce(TOPIC, b"value")

    with pytest.raises(
        Refused, match=r"Cluster authorization failed|record for looked-at was not taken"
    ):
        writer.flush(30)
