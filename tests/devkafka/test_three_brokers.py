"""Three brokers keep three replicas, and lose nothing when one is killed."""

import pytest

from pmstream.devkafka import Cluster
from tests.devkafka import clients
from tests.devkafka.test_guard import soon

pytestmark = pytest.mark.kafka


def replicas(servers: str, topic: str) -> list[tuple[int, int, int]]:
    """The leader, replicas and in-sync replicas of each partition."""
    found = clients.admin(servers).list_topics(topic, timeout=30).topics[topic].partitions
    return [(each.leader, len(each.replicas), len(each.isrs)) for each in found.values()]


def test_three_brokers_survive_the_kill_of_one(kafka3: Cluster) -> None:
    servers = kafka3.bootstrap_servers
    topic = clients.make_topic(servers)
    clients.send(servers, topic, b"before")
    [(leader, copies, _)] = replicas(servers, topic)
    assert copies == 3

    kafka3.kill(leader)
    try:
        with clients.transactional(servers) as producer:
            producer.begin_transaction()
            producer.produce(topic, b"meanwhile", partition=0)
            producer.commit_transaction(60)
        assert clients.read(servers, topic) == [b"before", b"meanwhile"]
    finally:
        kafka3.start_broker(leader)

    assert soon(lambda: replicas(servers, topic)[0][2] == 3)
    assert clients.read(servers, topic) == [b"before", b"meanwhile"]


@pytest.mark.parametrize("topic", ["__consumer_offsets", "__transaction_state"])
def test_internal_topics_have_three_replicas(kafka3: Cluster, topic: str) -> None:
    assert [copies for _, copies, _ in replicas(kafka3.bootstrap_servers, topic)] == [3] * 5
