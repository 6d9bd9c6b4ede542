"""Ports are free ones, or a sentence says which is not."""

import socket
from collections.abc import Iterator

import pytest

from pmstream.devkafka import Cluster, DevKafkaError, ports
from pmstream.devkafka.properties import Door


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def test_a_taken_port_is_told_before_anything_starts(taken: int) -> None:
    with pytest.raises(DevKafkaError) as caught:
        Cluster(ports=[taken]).start()

    assert str(caught.value) == (
        f"port {taken} of 127.0.0.1 is taken by another program: stop that, or choose another port"
    )


@pytest.mark.parametrize("port", [0, -1, 65_536])
def test_no_port_is_told(port: int) -> None:
    with pytest.raises(DevKafkaError, match="between 1 and 65535"):
        ports.check(port)


def test_free_ports_differ_and_can_be_listened_on() -> None:
    found = ports.free(20)

    assert len(set(found)) == 20
    for port in found:
        ports.check(port)


@pytest.mark.parametrize("brokers", [0, 2, 4])
def test_a_cluster_of_another_size_is_refused(brokers: int) -> None:
    with pytest.raises(DevKafkaError, match="1 or 3 brokers"):
        Cluster(brokers)


def test_each_broker_needs_a_port() -> None:
    with pytest.raises(DevKafkaError, match="3 brokers need as many ports, not 1"):
        Cluster(3, ports=[9092])
    with pytest.raises(DevKafkaError, match="3 brokers need as many advertised ports, not 1"):
        Cluster(3, advertised=[9092])
    with pytest.raises(DevKafkaError, match="doors are for a cluster of one broker, not of 3"):
        Cluster(3, doors=[Door("CLIENTS", 9092, "SSL")])
