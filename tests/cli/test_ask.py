"""`pmstream topics ensure` at a terminal asks before it lets a history be handled."""

import json
import os

import pytest

from pmstream.devkafka import Cluster
from tests.cli.conftest import Shell

SHOP = """
from pmstream import App
from pmstream.examples.transfer import TransferMoney, app as bank

app = App(
    name="asked-{answer}",
    schemas=bank.schemas,
    events={{"asked-{answer}.transfers": bank.events["bank.transfers"]}},
    commands={{"asked-{answer}.commands": bank.commands["bank.account-commands"]}},
    process_managers=[TransferMoney()],
)
"""
TRANSFER = {"transfer_uuid": "a", "debit_account": "1", "credit_account": "2", "amount": 3}


@pytest.mark.parametrize(
    ("answer", "code", "made"),
    [("y", 0, ["inbox", "changelog", "orders", "dead-letters"]), ("n", 1, [])],
)
def test_it_does_what_it_is_answered(
    shell: Shell, kafka: Cluster, answer: str, code: int, made: list[str]
) -> None:
    from pmstream.runtime.kafka import KafkaLog
    from pmstream.runtime.log import TopicSpec

    log = KafkaLog(kafka.bootstrap_servers)
    name = f"asked-{answer}"
    log.create_topics([TopicSpec(f"{name}.{each}", 1) for each in ("transfers", "commands")])
    shell.environment["PMSTREAM_BOOTSTRAP_SERVERS"] = kafka.bootstrap_servers
    (shell.folder / "asked.py").write_text(SHOP.format(answer=answer))
    transfer = ("--type", "MoneyTransferRequested", "--json", json.dumps(TRANSFER))
    assert shell.run("produce", "asked:app", f"{name}.transfers", *transfer)[0] == 0
    ours, theirs = os.openpty()

    process = shell.start("topics", "ensure", "asked:app", stdin=theirs)
    os.write(ours, answer.encode() + b"\n")
    out, err = process.communicate(timeout=60)
    os.close(ours)
    os.close(theirs)

    assert "at origin: 1 past events will be handled" in out
    assert process.returncode == code, err
    prefix = f"{name}.transfer-money."
    found = [topic.removeprefix(prefix) for topic in log.topics() if topic.startswith(prefix)]
    assert sorted(found) == sorted(made)
