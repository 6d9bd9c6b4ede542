"""What befalls a member and a producer whose connections lose all bytes for a while."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pytest

from pmstream.chaos.proxy import Proxy
from pmstream.devkafka import Cluster, ports
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import (
    Committed,
    Consumer,
    Fault,
    Membership,
    Producer,
    TopicPartition,
    TopicSpec,
)
from pmstream.runtime.log_errors import Again, LogError

pytestmark = [pytest.mark.kafka, pytest.mark.slow]
SESSION_SECONDS, PATIENCE = 6.0, 120.0
TOPIC, GROUP = "topic", "group"
PARTITIONS = 2


class Ear:
    """A listener that knows what is owned, and may do something when that grows less."""

    def __init__(self) -> None:
        self.owned: set[TopicPartition] = set()
        self.given_up: set[TopicPartition] = set()
        self.on_revoked: Callable[[], None] = lambda: None

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned.update(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.lost(partitions)
        if partitions:
            self.on_revoked()

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned.difference_update(partitions)
        self.given_up.update(partitions)

    def fault(self, fault: Fault) -> None:
        """Nothing here is worth a fault."""


@pytest.fixture
def proxied() -> Iterator[tuple[Cluster, Proxy]]:
    """A Kafka that is reached through a proxy only."""
    told, hidden = ports.free(2)
    proxy = Proxy([told], [hidden])
    proxy.start()
    try:
        with Cluster(ports=[hidden], advertised=[told]) as cluster:
            yield cluster, proxy
    finally:
        proxy.stop()


@pytest.fixture
def proxy(proxied: tuple[Cluster, Proxy]) -> Proxy:
    return proxied[1]


@pytest.fixture
def log(proxy: Proxy) -> KafkaLog:
    log = KafkaLog(proxy.addresses, session_timeout_ms=int(SESSION_SECONDS * 1000))
    log.create_topics([TopicSpec(TOPIC, PARTITIONS)])
    return log


def join(log: KafkaLog, name: str) -> tuple[Consumer, Ear]:
    consumer, ear = log.consumer(GROUP, name), Ear()
    consumer.subscribe([TOPIC], ear)
    return consumer, ear


def test_a_new_membership_does_not_cover_what_an_older_one_owned(
    proxy: Proxy, log: KafkaLog
) -> None:
    """librdkafka keeps its partitions when its session ends while it waits to rejoin."""
    clock = SystemClock()
    until = clock.monotonic() + PATIENCE
    first, ear = join(log, "first")
    while len(ear.owned) < PARTITIONS:
        first.gather(10, 0.1)
    ear.on_revoked = lambda: proxy.swallow(1)  # so that its answer to the rebalance is lost
    second, other = join(log, "second")
    while len(ear.owned) == PARTITIONS:
        first.gather(10, 0.1)
        second.gather(10, 0.1)
    kept = set(ear.owned)
    ear.given_up.clear()
    second.close()
    healed_at = clock.monotonic() + SESSION_SECONDS + 4
    while clock.monotonic() < healed_at:
        first.gather(10, 0.1)
    before = first.membership()
    proxy.heal(1)

    while first.membership() is None or first.membership() == before:
        assert clock.monotonic() < until, "it never came back"
        first.gather(10, 0.1)

    assert kept <= ear.given_up, "who owned them meanwhile is not known: they must be given up"
    first.close()
    assert not other.owned


def test_positions_are_sent_after_all_connections_were_lost(proxy: Proxy, log: KafkaLog) -> None:
    """With librdkafka's re-bootstrap the call would never return (its issue 5511)."""
    begun, healed, committed = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        consumer, ear = join(log, "only")
        producer = log.producer("id")
        while not committed.is_set():
            consumer.gather(10, 0.05)
            group = consumer.membership()
            if group is None or not ear.owned:
                continue
            try:
                transact(producer, group)
            except LogError:
                producer = log.producer("id")
            else:
                begun.set()
                if healed.is_set():
                    committed.set()
        consumer.close()

    thread = threading.Thread(target=work, daemon=True)  # it may hang where nothing can end it
    thread.start()
    assert begun.wait(PATIENCE)
    proxy.swallow(1)
    SystemClock().sleep(4)
    proxy.heal(1)
    healed.set()

    assert committed.wait(PATIENCE), "it hangs in a call"
    thread.join(PATIENCE)


def test_the_end_can_be_told_after_the_broker_was_killed(
    proxied: tuple[Cluster, Proxy], log: KafkaLog
) -> None:
    """The leader has another epoch then, which librdkafka's admin client does not ask for."""
    cluster, _ = proxied
    where = TopicPartition(TOPIC, 0)
    assert log.end(where, stable=False) == 0
    cluster.kill(1)
    assert log.end(where, stable=False) is None
    cluster.start_broker(1)
    clock = SystemClock()
    until = clock.monotonic() + PATIENCE

    while log.end(where, stable=False) is None:
        assert clock.monotonic() < until, "it asks with an old epoch for ever"
        clock.sleep(0.1)


def transact(producer: Producer, group: Membership) -> None:
    producer.begin()
    producer.produce(TOPIC, b"value", b"key")
    repeat(lambda: producer.flush(2))
    repeat(lambda: producer.send_offsets(group, {TopicPartition(TOPIC, 0): Committed(0)}, 2))
    repeat(lambda: producer.commit(2))


def repeat(call: Callable[[], None]) -> None:
    """Until the log decides."""
    while True:
        with suppress(Again):
            return call()
