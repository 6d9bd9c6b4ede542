"""The round trip: what fails is named by its step, and nothing stays behind."""

from collections.abc import Iterator

import pytest
from msgspec import structs

from pmstream.operate.doctor import Case, Finding
from pmstream.operate.doctor.scratch import judge_clock, round_trip
from pmstream.operate.doctor.trip import Trip
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import Again, LogError, OutcomeUnknown, Refused, Unavailable
from tests.operate.doctor.kit import Paper, Skewed, codes, paper


class Keeper(Paper):
    """Lets nobody delete a topic."""

    def delete_topic(self, name: str) -> None:
        raise Refused(f"deleting {name} was refused: TOPIC_AUTHORIZATION_FAILED")


def trip(case: Case) -> Iterator[Finding]:
    return round_trip(case, paper(case).facts)


def test_a_round_trip_succeeds_and_tells_how_long_it_took(case: Case) -> None:
    assert codes(trip(case)) == ["round-trip"]


@pytest.mark.parametrize(
    ("call", "error", "step"),
    [
        ("producer", Refused("not allowed"), "making a transactional producer"),
        ("producer", Unavailable("no coordinator"), "making a transactional producer"),
        ("flush", OutcomeUnknown("fenced"), "a transaction that is aborted"),
        ("send_offsets", OutcomeUnknown("no"), "sending positions in a transaction"),
        ("commit", OutcomeUnknown("no"), "committing a transaction"),
        ("read", Refused("not allowed"), "reading it back"),
    ],
)
def test_what_fails_is_named_by_its_step_and_nothing_stays(
    case: Case, call: str, error: LogError, step: str
) -> None:
    before = case.log.topics()
    paper(case).log.inject(call, error)

    (found,) = trip(case)

    assert found.code == "round-trip-failed"
    assert found.what == f"{step}: {error}"
    assert case.log.topics() == before


def test_what_is_to_be_repeated_is_repeated(case: Case) -> None:
    paper(case).log.inject("commit", Again("a moment"))

    assert codes(trip(case)) == ["round-trip"]


def test_a_transaction_whose_markers_do_not_come_is_told(case: Case) -> None:
    paper(case).log.hold_markers(held=True)

    (found,) = trip(case)

    assert found.code == "round-trip-failed"
    assert found.what.startswith("writing in a transaction: ")
    assert "the markers are not written" in found.what


def test_a_topic_that_may_not_be_made_is_skipped(case: Case) -> None:
    paper(case).log.inject("create_topics", Refused("TOPIC_AUTHORIZATION_FAILED"))

    assert codes(trip(case)) == ["scratch-refused"]


def test_nothing_is_tried_when_nothing_is_to_be_made(case: Case) -> None:
    before = case.log.topics()

    assert codes(trip(structs.replace(case, scratch=False))) == ["no-round-trip"]
    assert case.log.topics() == before


def test_what_cannot_be_deleted_again_is_told(case: Case) -> None:
    keeping = structs.replace(case, survey=Keeper(paper(case).log))

    assert codes(round_trip(keeping, paper(case).facts)) == ["round-trip", "scratch-not-deleted"]


@pytest.mark.parametrize(
    ("milliseconds", "code"),
    [(1_000, []), (5_000, ["clock-skew"]), (-5_000, ["clock-skew"]), (90_000, ["clock-wrong"])],
)
def test_a_clock_that_differs_is_told(case: Case, milliseconds: int, code: list[str]) -> None:
    assert isinstance(case.clock, VirtualClock)
    skewed = structs.replace(case, clock=Skewed(case.clock, milliseconds))

    assert codes(trip(skewed)) == ["round-trip", *code]


@pytest.mark.parametrize(
    ("appended", "text"),
    [(900, "its clock is 9.1 s behind ours"), (25_000, "its clock is 5.0 s ahead of ours")],
)
def test_which_clock_is_ahead_is_said(appended: int, text: str) -> None:
    (found,) = judge_clock(Trip(sent=10_000, acknowledged=20_000), appended, "broker 1")

    assert found.what == text
