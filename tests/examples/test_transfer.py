"""TransferMoney, event by event, through the core's step()."""

import pytest
from msgspec import Struct

from pmstream.core import engine
from pmstream.core.engine import Arrived, Outcome, Step
from pmstream.core.instance import Instance
from pmstream.core.messages import Routed
from pmstream.core.process import bind
from pmstream.core.state import load_state
from pmstream.examples.messages import (
    DepositMoney,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    WithdrawMoney,
)
from pmstream.examples.transfer import Transfer, TransferMoney, app
from pmstream.runtime.codec import Codec

UUID = "transfer-1"
REQUESTED = MoneyTransferRequested(UUID, "alice", "bob", 100)
WITHDRAWN = MoneyWithdrawn(UUID, "alice", 100)
DEPOSITED = MoneyDeposited(UUID, "bob", 100)

codec = Codec(app)
callbacks = bind(TransferMoney())


def after(instance: Instance | None, event: Struct, offset: int) -> Step:
    """What an event makes of an instance, routed as the router would."""
    topic = "bank.transfers" if event is REQUESTED else "bank.accounts"
    value = codec.encode_event(topic, event)
    blank = Routed("", "", value, topic, 0, offset, 0, 0, ())
    routing = engine.route(callbacks, event, blank, (), now=0)
    assert routing.ids == [UUID]
    routed = Routed(UUID, str(routing.route), value, topic, 0, offset, 0, 0, ())
    return engine.step(callbacks, instance, Arrived(routed), 0, codec, 1_000_000)


def commands(step: Step) -> list[Struct]:
    return [codec.decode_command(each.topic, each.value) for each in step.commands]


def test_a_transfer_withdraws_then_deposits_then_ends() -> None:
    requested = after(None, REQUESTED, 0)
    withdrawn = after(requested.instance, WITHDRAWN, 0)
    deposited = after(withdrawn.instance, DEPOSITED, 1)

    assert commands(requested) == [WithdrawMoney("alice", UUID, 100)]
    assert commands(withdrawn) == [DepositMoney("bob", UUID, 100)]
    assert commands(deposited) == []
    assert deposited.outcome is Outcome.ENDED
    assert deposited.instance is None


@pytest.mark.parametrize(("events", "status"), [(1, "withdraw"), (2, "deposit")])
def test_the_state_remembers_what_the_next_step_needs(events: int, status: str) -> None:
    instance = None
    for offset, event in enumerate([REQUESTED, WITHDRAWN][:events]):
        instance = after(instance, event, offset).instance

    assert instance is not None
    assert load_state(instance.state, callbacks, 1) == Transfer("alice", "bob", 100, status)
