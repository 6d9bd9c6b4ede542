"""All checks together: nothing on a healthy cluster, and whatever raises is a finding."""

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, Finding, Severity, examine
from pmstream.operate.doctor.examination import CLUSTER, LOCAL, merged
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.log_errors import Refused, Unavailable
from pmstream.runtime.survey import ClusterFacts
from tests.operate.doctor.kit import Paper, paper, wrong
from tests.operate.kit import NAMES


class Away(Paper):
    """A cluster that does not answer."""

    def cluster(self) -> ClusterFacts:
        raise Unavailable("Kafka at nowhere:9092 cannot be reached: refused")


class Broken(Paper):
    """A cluster whose groups cannot be asked for."""

    def describe_groups(self, names: object) -> dict[str, object]:  # type: ignore[override]
        raise ZeroDivisionError("what a bug does")


class Closed(Paper):
    """A cluster that lets nobody ask for groups."""

    def describe_groups(self, names: object) -> dict[str, object]:  # type: ignore[override]
        raise Refused("describing groups was refused")


def test_nothing_is_wrong_on_a_healthy_cluster(case: Case) -> None:
    found = list(examine(case))

    assert [each for each in found if each.severity in (Severity.WARNING, Severity.FAILURE)] == []
    assert len({each.check for each in found}) == len(LOCAL) + len(CLUSTER)


def test_a_laptop_sees_one_line_about_its_one_broker(case: Case) -> None:
    found = [each for each in examine(case) if each.check in ("brokers", "copies")]

    assert [each.code for each in found] == ["fine", "brokers", "few-brokers", "fine"]
    assert not any(each.remedy for each in found)


def test_every_check_that_finds_nothing_says_so(case: Case) -> None:
    found = list(examine(case))

    quiet = {each.check for each in found} - {e.check for e in found if e.code == "fine"}
    skipped = {each.check for each in found if each.severity is Severity.SKIPPED}
    assert quiet == skipped


def test_when_no_broker_answers_this_machine_is_still_examined(case: Case) -> None:
    away = structs.replace(case, survey=Away(paper(case).log))

    found = list(examine(away))

    assert found[-1].code == "unreachable"
    assert found[-1].severity is Severity.FAILURE
    assert "disk space" in {each.check for each in found}


def test_a_check_that_raises_is_a_finding_and_the_others_go_on(case: Case) -> None:
    broken = structs.replace(case, survey=Broken(paper(case).log))

    found = {each.check: each for each in examine(broken)}

    assert found["groups"].code == "check-failed"
    assert "what a bug does" in found["groups"].what
    assert found["round trip"].severity is Severity.OK


def test_what_is_not_allowed_to_be_asked_is_skipped(case: Case) -> None:
    closed = structs.replace(case, survey=Closed(paper(case).log))

    found = {each.check: each for each in examine(closed)}

    assert found["groups"].code == "check-refused"
    assert found["groups"].severity is Severity.SKIPPED


def test_a_log_that_fails_in_the_middle_is_a_finding(case: Case) -> None:
    log = paper(case).log
    log.inject("config", Unavailable("gone"), times=1)

    assert wrong(case)["check-failed"].what == "gone"


def test_the_same_at_many_places_is_one_finding() -> None:
    same = [Finding("", "few-copies", Severity.WARNING, f"t{n}", "copies: 1") for n in range(9)]
    other = Finding("", "few-copies", Severity.WARNING, "u", "copies: 2")

    found = merged([*same, other])

    assert [each.where for each in found] == ["t0, t1, t2, t3, t4, t5 and 3 more", "u"]


def test_remedies_name_the_app(case: Case) -> None:
    log = paper(case).log
    log.delete_topic(NAMES.dead_letters)

    assert wrong(case)["topic-missing"].remedy == "`pmstream topics ensure bank:app` makes it"


@pytest.mark.parametrize("scratch", [True, False])
def test_the_doctor_leaves_nothing_and_alters_nothing(case: Case, scratch: bool) -> None:
    log = paper(case).log
    places = [TopicPartition("bank.transfers", number) for number in range(3)]
    before = log.topics(), log.last_committed(NAMES.group("router"), places)

    list(examine(structs.replace(case, scratch=scratch)))

    assert (log.topics(), log.last_committed(NAMES.group("router"), places)) == before
    assert len(paper(case).deleted) == scratch
