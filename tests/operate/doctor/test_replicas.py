"""Copies: what is wrong now, and what the loss of one broker would do."""

from collections.abc import Mapping

import pytest

from pmstream.operate.doctor import Case
from pmstream.operate.doctor.replicas import (
    INTERNAL,
    Kept,
    judge_durability,
    judge_partitions,
    judge_to_come,
    to_come,
)
from pmstream.runtime.survey import PartitionFacts, TopicFacts
from tests.operate.doctor.kit import broker, codes, paper

THREE = frozenset({1, 2, 3})
GOOD = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}


def kept(
    *partitions: tuple[int | None, tuple[int, ...], tuple[int, ...]],
    live: frozenset[int] = THREE,
    config: Mapping[str, str] = {},
) -> Kept:
    topic = TopicFacts("t", tuple(PartitionFacts(n, *each) for n, each in enumerate(partitions)))
    changed = {name.replace("_", "."): value for name, value in config.items()}
    return Kept(topic, {**GOOD, **changed}, live)


WHOLE = (1, (1, 2, 3), (1, 2, 3))


def test_three_copies_two_of_which_must_answer_are_fine() -> None:
    assert codes(judge_partitions(kept(WHOLE, WHOLE))) == []
    assert codes(judge_durability(kept(WHOLE, WHOLE))) == []


def test_one_broker_with_one_copy_is_fine_on_a_laptop() -> None:
    one = kept((1, (1,), (1,)), live=frozenset({1}), config={"min_insync_replicas": "1"})

    assert codes(judge_durability(one)) == []
    assert codes(judge_partitions(one)) == []


def test_a_partition_without_a_leader_names_the_brokers_to_bring_back() -> None:
    (found,) = judge_partitions(kept((None, (3,), (3,)), WHOLE, live=frozenset({1, 2})))

    assert (found.code, found.where) == ("no-leader", "t-0")
    assert found.what == "nobody leads it; brokers away: 3"


def test_a_copy_that_is_behind_is_named() -> None:
    (found,) = judge_partitions(kept(WHOLE, (1, (1, 2, 3), (1, 2))))

    assert (found.code, found.where) == ("under-replicated", "t-1")
    assert found.what == "not in sync: copies on brokers 3"


def test_too_few_in_sync_refuse_every_write() -> None:
    found = judge_partitions(kept((1, (1, 2, 3), (1,)), (1, (1, 2, 3), (1,))))

    assert [(each.code, each.where) for each in found] == [
        ("under-replicated", "t (all 2 partitions)"),
        ("too-few-in-sync", "t (all 2 partitions)"),
    ]


@pytest.mark.parametrize(
    ("replicas", "config", "code"),
    [
        ((1,), {"min_insync_replicas": "2"}, ["min-isr-over-copies"]),
        ((1,), {"min_insync_replicas": "1"}, ["few-copies"]),
        ((1, 2), {"min_insync_replicas": "2"}, ["few-copies", "min-isr-equals-copies"]),
        ((1, 2, 3), {"min_insync_replicas": "1"}, ["min-isr-low"]),
        ((1, 2, 3), {"min_insync_replicas": "3"}, ["min-isr-equals-copies"]),
        ((1, 2, 3), {"unclean_leader_election_enable": "true"}, ["unclean-election"]),
    ],
)
def test_what_a_lost_broker_would_do_is_told(
    replicas: tuple[int, ...], config: dict[str, str], code: list[str]
) -> None:
    assert codes(judge_durability(kept((1, replicas, replicas), config=config))) == code


def test_a_topic_whose_settings_are_hidden_is_judged_by_its_copies_alone() -> None:
    topic = TopicFacts("t", (PartitionFacts(0, *WHOLE),))

    assert codes(judge_durability(Kept(topic, None, THREE))) == []


@pytest.mark.parametrize(
    ("factor", "least", "brokers", "code"),
    [
        ("1", "1", 1, []),
        ("3", "2", 1, ["internal-topic-impossible"]),
        ("1", "2", 1, ["internal-topic-impossible"]),
        ("3", "2", 3, []),
        ("1", "1", 3, ["internal-topic-weak"]),
        ("3", "1", 3, ["internal-topic-weak"]),
    ],
)
def test_how_kafka_would_make_its_transaction_log_is_judged(
    factor: str, least: str, brokers: int, code: list[str]
) -> None:
    config = {
        "transaction.state.log.replication.factor": factor,
        "transaction.state.log.min.isr": least,
    }

    assert codes(judge_to_come("__transaction_state", config, brokers)) == code


def test_positions_need_three_copies_too() -> None:
    config = {"offsets.topic.replication.factor": "1"}

    assert codes(judge_to_come("__consumer_offsets", config, 3)) == ["internal-topic-weak"]
    assert codes(judge_to_come("__consumer_offsets", {}, 1)) == ["internal-topic-impossible"]


def test_an_internal_topic_that_is_there_is_not_judged_by_settings(case: Case) -> None:
    wrong = broker(
        transaction_state_log_replication_factor="3", offsets_topic_replication_factor="3"
    )

    assert codes(to_come(case, wrong)) == ["internal-topic-impossible"] * 2

    paper(case).known = {name: TopicFacts(name, (PartitionFacts(0, *WHOLE),)) for name in INTERNAL}

    assert codes(to_come(case, wrong)) == []
