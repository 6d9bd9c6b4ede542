"""What librdkafka's lines tell of brokers: the requests that each of them knows."""

import pytest

from pmstream.runtime.kafka_survey import _Ear

LINE = "APIVERSION [rdkafka#producer-1] [thrd:{name}]: {name}:   ApiKey TxnOffsetCommit (28) {what}"


def heard(name: str, what: str = "Versions 0..3") -> dict[str, dict[int, int]]:
    ear = _Ear()
    ear.log(7, LINE.format(name=name, what=what))
    return ear.apis


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("127.0.0.1:9092/1", "127.0.0.1:9092"),
        ("127.0.0.1:9092/bootstrap", "127.0.0.1:9092"),
        ("sasl_ssl://kafka-2.kafka:9094/2", "kafka-2.kafka:9094"),
        ("[::1]:9092/3", "[::1]:9092"),
    ],
)
def test_a_broker_is_known_by_its_address(name: str, address: str) -> None:
    assert heard(name) == {address: {28: 3}}


def test_other_lines_tell_nothing() -> None:
    assert heard("127.0.0.1:9092/1", "") == {}


def test_a_line_may_come_in_pieces() -> None:
    ear = _Ear()

    ear.log(
        7, "%s [%s]: %s", "APIVERSION", "thrd:b:1/1", "b:1/1:   ApiKey Fetch (1) Versions 4..17"
    )

    assert ear.apis == {"b:1": {1: 17}}
