"""Direct mode on a real Kafka: killed and restarted, and a source of another partitioner."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from pmstream.devkafka import Cluster
from pmstream.errors import Stopped
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import feed, is_done
from tests.runtime.direct_world import DirectOnKafka
from tests.runtime.world import Happened

PARTITIONS = 3


@pytest.fixture
def world(kafka: Cluster, tmp_path: Path) -> Iterator[DirectOnKafka]:
    made = DirectOnKafka(
        kafka.bootstrap_servers,
        tmp_path,
        PARTITIONS,
        direct=True,
        inbox_partitions=PARTITIONS,
        max_batch_records=5,
    )
    yield made
    made.close()


def test_a_worker_that_is_killed_in_its_commit_neither_loses_nor_doubles(
    world: DirectOnKafka,
) -> None:
    killed = world.child(INSTANCES, "w-0", die_at=["commit", 3])
    feed(world, 0, 20)
    assert killed.process.wait(60) == -signal.SIGKILL
    world.child(INSTANCES, "w-0")
    world.settle(lambda: is_done(world, 20))
    world.children[-1].kill()
    world.start(INSTANCES, "w-0")
    feed(world, 20, 25)
    world.finish(25)
    assert world.names.inbox not in world.log.topics()


def test_f38_k_a_source_of_librdkafkas_default_stops_at_the_first_key_and_names_both(
    world: DirectOnKafka,
) -> None:
    world.start_all()
    feed(world, 0, 2)
    world.settle(lambda: is_done(world, 2))
    producer = Producer({"bootstrap.servers": world.servers})
    for n in range(20):
        value = world.codec.encode_event(world.source, Happened(process=f"p{n}", what="go", n=0))
        producer.produce(world.source, value, f"p{n}".encode())
    producer.flush(10)
    with pytest.raises(Stopped, match=r"murmur2, the partitioner of Java.*consistent_random"):
        world.settle(lambda: False)
    assert is_done(world, 2)
