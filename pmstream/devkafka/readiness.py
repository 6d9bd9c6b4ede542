"""Waits until brokers answer, and makes their internal topics."""

import socket
import time
from collections.abc import Mapping, Sequence

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from pmstream.devkafka.broker import Broker
from pmstream.devkafka.errors import DevKafkaError
from pmstream.devkafka.properties import internal_topics

START_TIMEOUT_S = 60.0
"""How long brokers may take; under load 13 s were seen."""


def await_brokers(brokers: Sequence[Broker]) -> None:
    """Returns when each broker answers with metadata that names all of them.

    Raises:
        DevKafkaError: a broker ended, or does not answer within START_TIMEOUT_S.
    """
    deadline = time.monotonic() + START_TIMEOUT_S
    for broker in brokers:
        _await_port(broker, deadline)
    expected = {broker.node for broker in brokers}
    for broker in brokers:
        client = _client(broker.address)
        while True:
            _check(broker, deadline)
            try:
                if expected <= client.list_topics(timeout=1).brokers.keys():
                    break
            except KafkaException:
                pass  # not yet
            time.sleep(0.02)


def make_internal_topics(servers: str, properties: Mapping[str, str]) -> None:
    """Makes what the first group and the first transaction would wait for."""
    client = _client(servers)  # a name, for its end would end the requests
    made = client.create_topics(internal_topics(properties), operation_timeout=30)
    for future in made.values():
        try:
            future.result(30)
        except KafkaException as failed:
            if failed.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise DevKafkaError(
                    f"the cluster cannot make its internal topics: {failed.args[0].str()}; look at "
                    "its settings"
                ) from failed


def _await_port(broker: Broker, deadline: float) -> None:
    while True:
        _check(broker, deadline)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", broker.port)) == 0:
                return
        time.sleep(0.02)


def _check(broker: Broker, deadline: float) -> None:
    if not broker.runs:
        raise DevKafkaError(f"broker {broker.node} ended at its start; {broker.last_words()}")
    if time.monotonic() > deadline:
        raise DevKafkaError(
            f"broker {broker.node} does not answer at {broker.address} after "
            f"{START_TIMEOUT_S:.0f} s; {broker.last_words()}"
        )


def _client(servers: str) -> AdminClient:
    return AdminClient(
        {
            "bootstrap.servers": servers,
            "log_level": 0,  # that a starting broker refuses connections is no news
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
        }
    )
