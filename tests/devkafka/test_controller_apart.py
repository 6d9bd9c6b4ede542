"""A controller in a process of its own outlives its only broker."""

import pytest

from pmstream.devkafka import Cluster
from tests.devkafka import clients
from tests.devkafka.test_guard import soon

pytestmark = pytest.mark.kafka


def leader(servers: str, topic: str) -> int:
    found = clients.admin(servers).list_topics(topic, timeout=30).topics[topic].partitions
    return int(found[0].leader)


def test_the_only_broker_is_killed_and_comes_back_to_its_controller() -> None:
    session = {"broker.session.timeout.ms": "2000"}
    with Cluster(settings=session, controller_apart=True) as kafka:
        servers = kafka.bootstrap_servers
        topic = clients.make_topic(servers)
        clients.send(servers, topic, b"before")

        kafka.kill(1)
        assert kafka.pids == [None]
        kafka.start_broker(1)

        assert soon(lambda: leader(servers, topic) == 1)
        clients.send(servers, topic, b"after")
        assert clients.read(servers, topic) == [b"before", b"after"]
        kafka.check()
