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


@pytest.fixture
def looker(secured: Secured) -> KafkaLog:
    open_log = KafkaLog(secured.cluster.bootstrap_servers)
    if TOPIC not in open_log.topics():
        open_log.create_topics([TopicSpec(TOPIC, 1)])
    may_look(secured)
    # Room for one record, so that the next one waits.
    small = {**secured.certificates.client("locked"), "queue.buffering.max.messages": "1"}
    log = KafkaLog(secured.doors["tls"].address, small)
    deadline = time.monotonic() + PATIENCE
    while TOPIC not in log.topics():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return log


REFUSED = rf"Cluster authorization failed|record for {TOPIC} was not taken"
"""The binding may lose the first while it calls back: then what the record met is told."""


@pytest.mark.kafka
def test_it_is_refused_while_it_flushes(looker: KafkaLog) -> None:
    """The client ends by a fatal error, and what it calls then must not touch it.

    It raised SystemError then, or an object that no `except` names and that ended the process.
    """
    writer = looker.writer()
    writer.produce(TOPIC, b"value")

    with pytest.raises(Refused, match=REFUSED):
        writer.flush(30)


@pytest.mark.kafka
def test_it_is_refused_while_it_waits_for_room(looker: KafkaLog) -> None:
    writer = looker.writer()
    writer.produce(TOPIC, b"value")

    with pytest.raises(Refused, match=REFUSED):
        writer.produce(TOPIC, b"value")
