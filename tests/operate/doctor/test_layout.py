"""Topics: as `topics check` wants them, sources that forget, sizes that do not do."""

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, layout
from pmstream.operate.doctor.layout import judge_source
from pmstream.runtime.log import TopicSpec
from tests.operate.doctor.kit import codes, paper, wrong
from tests.operate.kit import COMMANDS, NAMES

HOUR = 3_600_000


def again(case: Case, topic: str, partitions: int = 3, /, **config: str) -> None:
    """The same topic, made in another way."""
    log = paper(case).log
    settings = log.config(topic) | {name.replace("_", "."): each for name, each in config.items()}
    log.delete_topic(topic)
    log.create_topics([TopicSpec(topic, partitions, settings)])


@pytest.mark.parametrize(
    ("policy", "hours", "size", "code"),
    [
        ("delete", -1, -1, []),
        ("delete", 24 * 7, -1, ["source-expires"]),
        ("delete", 24, -1, ["source-expires-soon"]),
        ("delete", -1, 1 << 30, ["source-expires-by-size"]),
        ("compact", 24, 1 << 30, ["source-compacted"]),
        ("compact,delete", 24, -1, ["source-compacted", "source-expires-soon"]),
    ],
)
def test_a_source_that_forgets_is_told(policy: str, hours: int, size: int, code: list[str]) -> None:
    keeps = hours * HOUR if hours > 0 else -1
    config = {"cleanup.policy": policy, "retention.ms": str(keeps), "retention.bytes": str(size)}

    assert codes(judge_source("t", config)) == code


def test_how_long_a_source_keeps_is_said_as_people_say_it() -> None:
    found = [next(judge_source("t", {"retention.ms": str(n * HOUR)})) for n in (12, 24 * 30)]

    assert "kept for 12 hours" in found[0].what
    assert "kept for 30 days" in found[1].what


@pytest.mark.parametrize(
    ("topic", "config", "code"),
    [
        (NAMES.inbox, {"retention_ms": "5"}, "setting-unsafe"),
        (NAMES.inbox, {"message_timestamp_type": "CreateTime"}, "setting-unsafe"),
        (NAMES.changelog, {"cleanup_policy": "delete"}, "setting-unsafe"),
        (NAMES.changelog, {"segment_ms": "7"}, "setting-differs"),
        (COMMANDS, {"max_message_bytes": "5000"}, "commands-too-small"),
    ],
)
def test_a_setting_that_is_not_as_it_should_be_is_told(
    case: Case, topic: str, config: dict[str, str], code: str
) -> None:
    again(case, topic, 3, **config)

    assert list(wrong(case)) == [code]


def test_partitions_that_are_not_equal_are_told(case: Case) -> None:
    again(case, NAMES.changelog, 4)

    assert f"{NAMES.inbox} has 3 partitions but {NAMES.changelog} has 4" in (
        wrong(case)["topic-fault"].what
    )


def test_a_topic_that_is_missing_is_told(case: Case) -> None:
    paper(case).log.delete_topic(NAMES.dead_letters)
    paper(case).log.delete_topic("bank.accounts")

    found = wrong(case)

    assert found["topic-missing"].where == NAMES.dead_letters
    assert "source topic bank.accounts does not exist" in found["topic-fault"].what


def test_a_process_manager_without_positions_is_told(case: Case) -> None:
    paper(case).log.forget_positions(NAMES.group("router"))

    assert wrong(case)["no-start"].where == "bank.transfers, bank.accounts"


def test_positions_of_an_earlier_topic_are_told(case: Case) -> None:
    again(case, "bank.transfers")

    assert "start-fault" in wrong(case) or "no-start" in wrong(case)


def test_a_client_that_refuses_what_we_may_write_is_told(case: Case) -> None:
    again(case, "bank.transfers", 3, max_message_bytes="5000000")
    facts, needed = paper(case).facts, 5_065_536

    def client_of(size: int) -> Case:
        kafka = {"message.max.bytes": str(size)}
        return structs.replace(case, settings=case.settings.model_copy(update={"kafka": kafka}))

    assert codes(layout.sizes(case, facts)) == []
    assert codes(layout.sizes(client_of(needed), facts)) == []
    assert codes(layout.sizes(client_of(needed - 1), facts)) == ["client-too-small"]


def test_what_a_killed_doctor_left_is_told(case: Case) -> None:
    paper(case).log.create_topics([TopicSpec("bank.doctor.12345678", 1)])

    assert wrong(case)["scratch-left"].where == "bank.doctor.12345678"
