"""Commands for an app in direct mode: which workers it has, and what may be written into it."""

import json

import pytest

from pmstream.app import App
from pmstream.cli.run import Roles, _specs
from pmstream.errors import ConfigurationError
from pmstream.examples.transfer import TransferMoney
from pmstream.examples.transfer import app as bank
from pmstream.operate.messages import Encoder, known_topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog

TOPIC = "bank.transfers"
EVENT = json.dumps(
    {
        "transfer_uuid": "a",
        "debit_account": "1",
        "credit_account": "2",
        "amount": 3,
        "reference": "rent",
    }
)


@pytest.fixture
def keyed() -> App:
    return App(
        name="direct",
        schemas=bank.schemas,
        events={TOPIC: bank.events[TOPIC]},
        commands=bank.commands,
        process_managers=[TransferMoney(keyed=TOPIC)],
    )


def test_run_starts_no_router(keyed: App) -> None:
    assert [each.role for each in _specs(keyed, Roles.ALL, "host", 2, 1)] == ["instances"] * 2
    with pytest.raises(ConfigurationError, match="run the role instances"):
        _specs(keyed, Roles.ROUTER, "host", 1, 1)


def test_an_event_without_a_key_is_not_written_into_it(keyed: App) -> None:
    with pytest.raises(ConfigurationError, match="give --key, the field that has it"):
        Encoder(keyed, TOPIC, "MoneyTransferRequested")
    key, _ = Encoder(keyed, TOPIC, "MoneyTransferRequested", "transfer_uuid").encode(EVENT)
    assert key == b"a"


def test_there_is_no_inbox_to_look_into(keyed: App) -> None:
    topics = known_topics(keyed, MemoryLog(VirtualClock()))
    assert [topic for topic in topics if topic.endswith("inbox")] == []
