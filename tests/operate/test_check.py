"""`instances check`: what today's code cannot work on with is found before a roll-out."""

from collections.abc import Callable

import msgspec
import pytest

from pmstream.core.instance import Backlog, Instance, Status, Wait, Work, dump_instance, dump_work
from pmstream.core.messages import Emitted, Routed
from pmstream.errors import ConfigurationError
from pmstream.examples.messages import MoneyTransferRequested, WithdrawMoney
from pmstream.operate import topics
from pmstream.operate.check import Checked, check
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import backlog_key, instance_key
from tests.operate.kit import COMMANDS, NAMES, SETTINGS, bank

PM = "transfer-money"
STATE = msgspec.msgpack.encode({"amount": 7, "status": "deposit"})
EVENT = Codec(bank()).encode_event(
    "bank.transfers",
    MoneyTransferRequested(transfer_uuid="a", debit_account="b", credit_account="c", amount=1),
)
COMMAND = Codec(bank()).encode_command(
    WithdrawMoney(account_number="b", transfer_uuid="a", amount=1)
)

Look = Callable[..., Checked]


def routed(value: bytes) -> Routed:
    return Routed("a", "start", value, "bank.transfers", 0, 3, 0, 0, ())


def running(**fields: object) -> Instance:
    return Instance(status=Status.RUNNING, **{"state": STATE, **fields})  # type: ignore[arg-type]


@pytest.fixture
def look() -> Look:
    """Puts records into a changelog and checks them."""
    log = MemoryLog(VirtualClock())
    topics.carry_out(topics.plan(bank(), log, SETTINGS, create_missing=True), log)

    def put_and_check(records: dict[bytes, bytes], **options: object) -> Checked:
        writer = log.writer()
        for key, value in records.items():
            writer.produce(NAMES.changelog, value, key, partition=0)
        writer.flush(1)
        return check(log, bank(**options), PM)

    return put_and_check


def test_what_today_s_code_reads_is_counted_by_version(look: Look) -> None:
    found = look(
        {
            instance_key("a"): dump_instance(running()),
            instance_key("b"): dump_instance(
                running(
                    work=Work(
                        input=routed(EVENT),
                        wait=Wait.REPLY,
                        pending=(Emitted(COMMANDS, b"b", COMMAND.value, (), "a/x/0"),),
                    ),
                    backlog=Backlog(size=1),
                )
            ),
            instance_key("done"): dump_instance(Instance(status=Status.COMPLETED, until=9)),
            backlog_key("b", 1): dump_work(Work(input=routed(EVENT))),
        }
    )

    assert found == Checked(PM, 3, 1, {1: 2}, 0, ())


@pytest.mark.parametrize(
    ("record", "what", "why"),
    [
        (running(state=msgspec.msgpack.encode({"amount": "much"})), "state", "Expected `int`"),
        (running(state_version=2), "newer state", "this code knows 1"),
        (running(work=Work(input=routed(b"?"))), "input", "bank.transfers-0-3: "),
        (
            running(
                work=Work(
                    input=routed(EVENT), pending=(Emitted(COMMANDS, b"b", b"?", (), "a/x/0"),)
                )
            ),
            "command",
            "a/x/0 for bank.account-commands: ",
        ),
    ],
)
def test_what_it_cannot_read_is_named(look: Look, record: Instance, what: str, why: str) -> None:
    found = look({instance_key("a"): dump_instance(record)})

    [unfit] = found.unfit
    assert (unfit.uuid, unfit.what) == ("a", what)
    assert why in unfit.why


def test_a_record_of_a_newer_format_and_a_waiting_input_are_named(look: Look) -> None:
    found = look(
        {
            instance_key("a"): b"\x09\x00",
            backlog_key("b", 7): dump_work(Work(input=routed(b"?"))),
        }
    )

    assert [(each.uuid, each.what) for each in found.unfit] == [("a", "record"), ("b", "input")]
    assert "format 9" in found.unfit[0].why


def test_an_upcaster_that_raises_is_found(look: Look) -> None:
    def upcast(fields: dict[str, object]) -> dict[str, object]:
        return {"amount": fields["sum"]}

    found = look(
        {instance_key("a"): dump_instance(running())}, state_version=2, upcasters={1: upcast}
    )

    [unfit] = found.unfit
    assert unfit.what == "state"
    assert "'sum'" in unfit.why


def test_without_a_changelog_it_says_so() -> None:
    with pytest.raises(ConfigurationError, match="there is no topic bank"):
        check(MemoryLog(VirtualClock()), bank(), PM)


def test_many_faults_are_counted_and_the_first_are_told(
    look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pmstream.operate.check.MOST_UNFIT", 3)
    bad = dump_instance(running(state_version=2))

    found = look({instance_key(f"p{number}"): bad for number in range(7)})

    assert found.faults == 7
    assert [each.uuid for each in found.unfit] == ["p0", "p1", "p2"]
