"""Groups and permissions: who else is in a group, and what we may not do."""

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, permissions
from pmstream.operate.doctor.groups import Ours, judge_group
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.operate.topics import Role
from pmstream.runtime.log_errors import Refused
from pmstream.runtime.survey import GroupFacts, MemberFacts
from tests.operate.doctor.kit import ALL, codes, paper, wrong
from tests.operate.kit import COMMANDS, NAMES

OURS = Ours(frozenset({"inbox"}), 3, "classic")
MEMBER = MemberFacts("host-1", "10.0.0.1", frozenset({"inbox"}))
GOOD = GroupFacts("g", "stable", "classic", "cooperative-sticky", (MEMBER,), ALL)


@pytest.mark.parametrize(
    ("group", "code"),
    [
        (GOOD, "group-members"),
        (GroupFacts("g"), "group-empty"),
        (structs.replace(GOOD, state="preparing_rebalancing"), "group-unsettled"),
        (structs.replace(GOOD, assignor="range"), "group-assignor"),
        (structs.replace(GOOD, protocol="consumer", assignor="uniform"), "group-protocol-mixed"),
        (structs.replace(GOOD, members=(MEMBER,) * 4), "group-idle-members"),
        (
            structs.replace(GOOD, members=(MemberFacts("x", "h", frozenset({"theirs"})),)),
            "group-stranger",
        ),
    ],
)
def test_a_group_is_told_by_what_is_unusual(group: GroupFacts, code: str) -> None:
    assert list(judge_group(group, OURS))[-1].code == code


def test_a_group_that_may_not_be_asked_for_is_left_to_the_permissions(case: Case) -> None:
    group = NAMES.group("router")
    paper(case).in_groups = {group: GroupFacts(group, is_denied=True)}

    found = wrong(case)

    assert list(found) == ["group-not-allowed"]
    assert found["group-not-allowed"].where == group


def test_a_group_that_may_not_be_joined_is_told(case: Case) -> None:
    group = NAMES.group("instances")
    may = frozenset({"describe"})
    paper(case).in_groups = {group: GroupFacts(group, "empty", operations=may)}

    assert wrong(case)["group-not-allowed"].what == "not allowed: Read"


def test_each_lacking_permission_of_a_topic_is_named(case: Case) -> None:
    topics, _ = paper(case).describe_topics([NAMES.inbox])
    may = ALL - {"delete", "describe_configs"}
    paper(case).known = {NAMES.inbox: structs.replace(topics[NAMES.inbox], operations=may)}

    found = wrong(case)["topic-not-allowed"]

    assert (found.where, found.what) == (
        NAMES.inbox,
        "not allowed: Delete, DescribeConfigs (inbox)",
    )


def test_a_topic_that_may_not_even_be_asked_for_is_told(case: Case) -> None:
    paper(case).denied = frozenset({COMMANDS})

    assert wrong(case)["topic-not-allowed"].what == "not allowed: Describe, Write (commands)"


def test_a_cluster_that_does_not_tell_is_no_fault(case: Case) -> None:
    topics, _ = paper(case).describe_topics([NAMES.inbox])
    paper(case).known = {NAMES.inbox: structs.replace(topics[NAMES.inbox], operations=None)}

    assert codes(permissions.topics(case, paper(case).facts)) == ["permissions-untold"]


def test_a_transactional_id_that_is_refused_is_named(case: Case) -> None:
    paper(case).log.inject("producer", Refused("not authorised"))

    (found,) = permissions.transactional_ids(case, paper(case).facts)

    assert found.code == "transactional-id-not-allowed"
    assert found.where == NAMES.transactional_id("router", "doctor")


def test_every_role_of_a_topic_has_its_permissions() -> None:
    assert set(NEEDED) == set(Role)
