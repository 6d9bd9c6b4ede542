"""Started, ready, alive: each reason why not, and who is not asked."""

import pytest

from pmstream.runtime.child import View
from pmstream.runtime.health import Health
from pmstream.runtime.vitals import Condition
from tests.runtime.told import Told, part, silent, worker

WHO = "pay instances host-1"
STALL_SECONDS = 120.0


def health(*workers: View, **told: object) -> Health:
    scene = Told(workers=list(workers))
    for name, value in told.items():
        setattr(scene, name, value)
    return Health(scene, STALL_SECONDS)


HELD = [
    (Condition.OPENING, "its store is not open yet"),
    (Condition.RESTORING, "400 changelog records to go"),
    (Condition.BLOCKED, "the backlog of process 7 is full"),
    (Condition.REFUSED, "its state is newer"),
]


def test_a_worker_whose_partitions_run_is_ready() -> None:
    asked = health(worker(part(), part(number=1)), worker(role="router"))

    assert (asked.not_started(), asked.not_ready(), asked.not_alive()) == ([], [], [])


def test_a_worker_without_partitions_is_ready_once_it_has_joined() -> None:
    assert health(worker()).not_ready() == []
    assert health(worker(joined=False)).not_ready() == [f"{WHO} is no member of its group"]


@pytest.mark.parametrize(("condition", "why"), HELD)
def test_a_partition_that_is_held_back_is_not_ready(condition: Condition, why: str) -> None:
    asked = health(worker(part(), part(condition, why, number=2)))

    assert asked.not_ready() == [f"{WHO}: bank.pay.inbox-2 is {condition}: {why}"]
    assert asked.not_alive() == []


def test_what_an_operator_has_paused_is_ready() -> None:
    """Else a pause would hold up a roll-out; `pmstream status` and the metrics tell of it."""
    assert health(worker(part(Condition.PAUSED, "an operator ordered it"))).not_ready() == []


def test_who_restores_has_started_and_who_opens_a_store_has_not() -> None:
    assert health(worker(part(Condition.RESTORING))).not_started() == []
    assert health(worker(part(Condition.OPENING, "why"))).not_started() == [
        f"{WHO}: bank.pay.inbox-0 is opening: why"
    ]


def test_a_worker_that_has_not_told_of_itself_is_neither_started_nor_ready() -> None:
    why = [f"{WHO} has not told of itself yet"]

    assert health(silent()).not_started() == why
    assert health(silent()).not_ready() == why


def test_a_worker_that_does_not_run_is_told_with_how_it_ended() -> None:
    """Kafka away: workers end and are tried again. That is no reason to restart the supervisor."""
    asked = health(worker(runs=False, end="exit code 69: Kafka cannot be reached"))
    why = [f"{WHO} does not run: exit code 69: Kafka cannot be reached"]

    assert asked.not_started() == why
    assert asked.not_ready() == why
    assert asked.not_alive() == []


def test_a_worker_that_is_done_is_not_missed() -> None:
    assert health(worker(runs=False, done=True)).not_ready() == []


def test_a_process_manager_that_stopped_leaves_its_supervisor_up_and_unready() -> None:
    asked = health(worker(runs=False), stopped={"pay": "account 7 is poisoned"})

    assert asked.not_ready() == ["pay stopped: account 7 is poisoned"]
    assert asked.not_started() == [], "else Kubernetes would start it again"
    assert asked.not_alive() == []


def test_who_was_told_to_end_is_not_ready() -> None:
    assert health(worker(), is_stopping=True).not_ready() == ["it was told to end"]


def test_a_loop_that_stands_is_not_ready_and_alive_as_long_as_it_may_be_replaced() -> None:
    standing = health(worker(silence_s=STALL_SECONDS))

    assert standing.not_ready() == [f"{WHO} has not moved for 120 s"]
    assert standing.not_alive() == []
    assert health(worker(silence_s=STALL_SECONDS + 31)).not_alive() == [
        f"{WHO} has not moved for 151 s and was not replaced"
    ]


def test_a_supervisor_that_stands_is_not_alive() -> None:
    assert health(worker(), silence_s=31).not_alive() == ["the supervisor has not moved for 31 s"]
