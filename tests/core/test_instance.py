"""The durable record: what is stored comes back, what is newer or damaged is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.core.failure import Stage
from pmstream.core.instance import (
    FORMAT,
    Backlog,
    FormatError,
    Instance,
    Status,
    Wait,
    Work,
    dump_instance,
    dump_work,
    has_due,
    load_instance,
    load_work,
)
from pmstream.core.lifecycle import Coming, Condition, DueKind, coming, condition
from pmstream.core.messages import Emitted
from pmstream.core.routing import Route
from tests.core.kit import Happened, routed

INPUT = routed(Happened("it"), Route.CONTINUE, 7, (("a", b"1"), ("b", None)))
SENT = Emitted("commands", b"k", b"v", (("command-id", b"i"),), "i")
RETRY = Work(
    input=INPUT,
    stage=Stage.AFTER_COMMAND,
    wait=Wait.RETRY,
    due=99,
    context={"n": [1, {"deep": None}]},
    attempts=2,
    first_failed_at=5,
    error_type="Boom",
    error_text="ü",
    command=1,
    sent=(SENT,),
)
PARKED = Work(input=INPUT, wait=Wait.OPERATOR, reason="look", not_started=True)
BEHIND = Backlog(4, 9, 3)
RUNNING, ABSENT = Status.RUNNING, Status.ABSENT

INSTANCES: list[tuple[Instance, Condition, Coming | None]] = [
    (Instance(status=RUNNING, state=b"\x80", born="t-0-1"), Condition.IDLE, None),
    (Instance(status=RUNNING, work=RETRY), Condition.RETRYING, Coming(DueKind.RETRY, 99)),
    (
        Instance(status=ABSENT, work=RETRY, backlog=BEHIND),
        Condition.RETRYING,
        Coming(DueKind.RETRY, 99),
    ),
    (Instance(status=ABSENT, work=PARKED, backlog=BEHIND), Condition.PARKED, None),
    (Instance(status=RUNNING, backlog=BEHIND), Condition.DRAINING, Coming(DueKind.DRAIN, 0)),
    (Instance(status=ABSENT, backlog=BEHIND), Condition.DRAINING, Coming(DueKind.DRAIN, 0)),
    (Instance(status=ABSENT), Condition.ABSENT, None),
]


@pytest.mark.parametrize(("instance", "stands", "next_due"), INSTANCES)
def test_a_record_comes_back_and_tells_what_is_due(
    instance: Instance, stands: Condition, next_due: Coming | None
) -> None:
    record = dump_instance(instance)

    assert load_instance(record) == instance
    assert condition(instance) is stands
    assert coming(instance) == ([] if next_due is None else [next_due])
    assert has_due(record) == (next_due is not None)


def test_no_instance_is_absent() -> None:
    assert condition(None) is Condition.ABSENT


@pytest.mark.parametrize("work", [RETRY, PARKED, Work(input=INPUT)])
def test_a_backlog_entry_comes_back(work: Work) -> None:
    assert load_work(dump_work(work)) == work


DUMPS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (load_instance, dump_instance(INSTANCES[1][0])),
    (load_work, dump_work(RETRY)),
]


@pytest.mark.parametrize(("load", "record"), DUMPS)
def test_a_newer_format_is_refused(load: Callable[[bytes], Any], record: bytes) -> None:
    with pytest.raises(FormatError, match=f"has format {FORMAT + 1}; this version reads {FORMAT}"):
        load(bytes((FORMAT + 1,)) + record[1:])


@pytest.mark.parametrize(("load", "record"), DUMPS)
@given(cut=st.integers(min_value=0, max_value=200))
def test_a_cut_record_is_refused(load: Callable[[bytes], Any], record: bytes, cut: int) -> None:
    with pytest.raises(FormatError):
        load(record[: min(cut, len(record) - 1)])


@pytest.mark.parametrize(("load", "_record"), DUMPS)
@given(st.binary(max_size=40))
def test_foreign_bytes_are_refused(
    load: Callable[[bytes], Any], _record: bytes, found: bytes
) -> None:
    with pytest.raises(FormatError):
        load(bytes((FORMAT, 0)) + b"\xc1" + found)
