"""Brokers: who answers, what they know, and whether their settings suit ours."""

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, brokers
from pmstream.runtime.survey import ClusterFacts
from tests.operate.doctor.kit import APIS, BROKER, broker, codes


def changed(case: Case, **settings: object) -> Case:
    return structs.replace(case, settings=case.settings.model_copy(update=settings))


def knowing(apis: dict[int, int]) -> ClusterFacts:
    return ClusterFacts("paper", (structs.replace(BROKER, apis=apis),))


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:none", "PLAINTEXT://127.0.0.1:1"])
def test_an_address_that_nobody_answers_at_is_named(case: Case, address: str) -> None:
    both = changed(case, bootstrap_servers=f"{case.settings.bootstrap_servers}, {address},")

    assert [each.where for each in brokers.bootstrap(both)] == [address]
    assert codes(brokers.bootstrap(case)) == []


def test_a_broker_that_does_not_answer_is_named(case: Case) -> None:
    silent = structs.replace(BROKER, id=2, address="b2:9092", fault="timed out", config=None)
    facts = ClusterFacts("paper", (BROKER, silent, structs.replace(BROKER, id=3)))

    found = list(brokers.answer(case, facts))

    assert [each.code for each in found] == ["broker-silent", "brokers"]
    assert found[0].where == "broker 2 at b2:9092"
    assert codes(brokers.settings(case, facts)) == []


@pytest.mark.parametrize(
    ("number", "newest", "code"),
    [
        (28, 2, "kafka-too-old"),
        (22, 2, "kafka-too-old"),
        (11, 4, "kafka-too-old"),
        (9, 6, "kafka-too-old"),
        (3, 9, "kafka-too-old"),
        (24, 3, "transactions-unverified"),
    ],
)
def test_a_request_that_a_broker_does_not_know_is_named(
    case: Case, number: int, newest: int, code: str
) -> None:
    assert codes(brokers.requests(case, knowing({**APIS, number: newest}))) == [code]


def test_the_new_group_protocol_needs_brokers_that_offer_it(case: Case) -> None:
    new = changed(case, group_protocol="consumer")
    without = {number: newest for number, newest in APIS.items() if number != 68}

    assert codes(brokers.requests(case, knowing(without))) == []
    assert codes(brokers.requests(new, knowing(without))) == ["kafka-too-old"]
    classic = broker(group_coordinator_rebalance_protocols="classic")
    assert codes(brokers.settings(new, classic)) == ["group-protocol-off"]
    assert codes(brokers.settings(case, classic)) == []


def test_what_a_broker_does_not_tell_is_skipped(case: Case) -> None:
    untold = ClusterFacts("paper", (structs.replace(BROKER, config=None, apis={}),))

    assert codes(brokers.requests(case, untold)) == ["apis-unknown"]
    assert codes(brokers.settings(case, untold)) == ["broker-settings-hidden"]


@pytest.mark.parametrize(
    ("setting", "value", "code"),
    [
        ("transaction_max_timeout_ms", "59999", ["transaction-timeout-refused"]),
        ("transaction_max_timeout_ms", "60000", []),
        ("group_min_session_timeout_ms", "10001", ["session-timeout-refused"]),
        ("group_min_session_timeout_ms", "10000", []),
        ("group_max_session_timeout_ms", "9999", ["session-timeout-refused"]),
        ("group_max_session_timeout_ms", "10000", []),
        ("offsets_retention_minutes", "10079", ["offsets-expire-soon"]),
        ("auto_create_topics_enable", "true", ["auto-create-topics"]),
        ("log_cleaner_enable", "false", ["no-log-cleaner"]),
    ],
)
def test_settings_are_held_against_ours(
    case: Case, setting: str, value: str, code: list[str]
) -> None:
    assert codes(brokers.settings(case, broker(**{setting: value}))) == code


def test_verification_that_is_turned_off_is_told(case: Case) -> None:
    off = broker(transaction_partition_verification_enable="false")

    assert codes(brokers.requests(case, off)) == ["transactions-unverified"]
