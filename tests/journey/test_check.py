"""The independent check sees what is wrong: each fault that it is there for, made on purpose."""

from collections.abc import Callable

import pytest
from msgspec import Struct

from pmstream.cli.demo_cast import PLAIN
from pmstream.cli.demo_check import Verdict, check, messages_of
from pmstream.cli.demo_load import TRANSFERS, transfers
from pmstream.examples.accounts import OPENING_BALANCE
from pmstream.examples.bank import BALANCES, COMMANDS, EVENTS
from pmstream.examples.messages import DepositMoney, WithdrawMoney
from pmstream.examples.transfer import app
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import backlog_key, instance_key

COUNT = 3


class Topics:
    """Topics as they are after three transfers that went well; then something is added."""

    def __init__(self, *, skip: int | None = None, ended: bool = True) -> None:
        self.clock = VirtualClock()
        self.log = MemoryLog(self.clock)
        self.codec = Codec(app)
        self.transfers = transfers(COUNT, seed=1)
        needed = (TRANSFERS, COMMANDS, EVENTS, BALANCES)
        made = (PLAIN.names.inbox, PLAIN.names.changelog, PLAIN.names.dead_letters)
        self.log.create_topics([TopicSpec(each, 1) for each in (*needed, *made)])
        self.ids = 0
        for number, message in enumerate(m for each in self.transfers for m in messages_of(each)):
            if number != skip:
                self.message(message)
        balances: dict[str, int] = {}
        for each in self.transfers:
            self.put(PLAIN.names.changelog, instance_key(each.transfer_uuid), b"state")
            if ended:
                self.put(PLAIN.names.changelog, instance_key(each.transfer_uuid), None)
            for account, change in (
                (each.debit_account, -each.amount),
                (each.credit_account, each.amount),
            ):
                balances[account] = balances.get(account, OPENING_BALANCE) + change
        for account, balance in balances.items():
            self.put(BALANCES, account.encode(), str(balance).encode())

    def message(self, message: Struct, id: str | None = None) -> None:
        if isinstance(message, WithdrawMoney | DepositMoney):
            self.ids += 1
            encoded = self.codec.encode_command(message)
            self.put(COMMANDS, encoded.key, encoded.value, id or str(self.ids))
        else:
            self.put(EVENTS, b"", self.codec.encode_event(EVENTS, message))

    def put(self, topic: str, key: bytes, value: bytes | None, id: str | None = None) -> None:
        writer = self.log.writer()
        headers = (("command-id", id.encode()),) if id else ()
        writer.produce(topic, value, key, headers)
        writer.flush(1)

    def check(self) -> Verdict:
        return check(self.log, self.clock, self.codec.decode, PLAIN, self.transfers)


def test_three_good_transfers_are_good() -> None:
    verdict = Topics().check()

    assert verdict.faults == []
    assert verdict.is_good
    assert (verdict.completed, verdict.commands) == (COUNT, 2 * COUNT)


def test_a_missing_message_is_lost() -> None:
    for number in range(4 * COUNT):
        verdict = Topics(skip=number).check()

        assert (verdict.lost, verdict.completed) == (1, COUNT - 1)
        assert not verdict.is_good


def test_instances_that_live_are_open() -> None:
    verdict = Topics(ended=False).check()

    assert (verdict.open, verdict.completed) == (COUNT, 0)


def again(topics: Topics) -> None:
    topics.message(messages_of(topics.transfers[0])[0])


def same_id(topics: Topics) -> None:
    again(topics)
    topics.message(messages_of(topics.transfers[0])[0], id="1")


def event_again(topics: Topics) -> None:
    topics.message(messages_of(topics.transfers[0])[3])


def wrong_amount(topics: Topics) -> None:
    first = topics.transfers[0]
    topics.message(WithdrawMoney(first.debit_account, first.transfer_uuid, first.amount + 1))


def foreign_instance(topics: Topics) -> None:
    topics.put(PLAIN.names.changelog, instance_key("ghost"), b"state")


def backlog(topics: Topics) -> None:
    topics.put(PLAIN.names.changelog, backlog_key(topics.transfers[0].transfer_uuid, 1), b"work")


def not_handled(topics: Topics) -> None:
    topics.put(PLAIN.names.inbox, b"x", b"y")


def dead_letter(topics: Topics) -> None:
    topics.put(PLAIN.names.dead_letters, b"x", b"y")


def money_made(topics: Topics) -> None:
    account = topics.transfers[0].debit_account
    topics.put(BALANCES, account.encode(), str(OPENING_BALANCE + 5).encode())


@pytest.mark.parametrize(
    ("change", "field", "count"),
    [
        (again, "duplicated", 1),
        (same_id, "duplicated", 3),
        (event_again, "duplicated", 1),
        (wrong_amount, "commands", 2 * COUNT + 1),
        (foreign_instance, "open", 1),
        (backlog, "open", 1),
        (not_handled, "open", 1),
        (dead_letter, "open", 0),
        (money_made, "money", 1),
    ],
)
def test_what_is_wrong_is_told(change: Callable[[Topics], None], field: str, count: int) -> None:
    topics = Topics()
    change(topics)

    verdict = topics.check()

    assert getattr(verdict, field) == count
    assert verdict.faults
    assert not verdict.is_good


def test_what_an_open_transaction_hides_is_not_taken_for_absent() -> None:
    topics = Topics()
    producer = topics.log.producer("someone")
    producer.begin()
    producer.produce(COMMANDS, b"hidden")
    producer.flush(1)
    topics.log.pin("someone")

    with pytest.raises(Unavailable, match=f"{COMMANDS}-0 cannot be read to the end"):
        topics.check()
