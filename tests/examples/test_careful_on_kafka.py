"""A bank that refuses, on a real Kafka: money is conserved, although another bank takes over."""

import time
from pathlib import Path

import pytest

from pmstream.app import Names
from pmstream.config import Settings
from pmstream.core.lifecycle import Condition
from pmstream.devkafka import Cluster
from pmstream.examples.accounts import OPENING_BALANCE
from pmstream.examples.bank import BALANCES, OUTCOMES, Bank, read_balances
from pmstream.examples.careful_transfer import app
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.operate import instances, starts, topics
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.roles import ROLES, make_worker

pytestmark = pytest.mark.kafka

NAMES = Names("bank", "careful-transfer")
TRANSFERS = [
    MoneyTransferRequested("t-1", "alice", "bob", 100),
    MoneyTransferRequested("t-2", "carol", "bob", OPENING_BALANCE + 1),
    MoneyTransferRequested("t-3", "dora", "closed-7", 30),
]

COMMANDS = 8
"""Two for the first transfer, two for the one that is refused, four for the one that is undone."""


def has_ended(log: KafkaLog) -> bool:
    found = list(instances.find(log, NAMES))
    return len(found) == len(TRANSFERS) and {each.condition for each in found} == {
        Condition.COMPLETED
    }


def test_money_is_conserved_whoever_refuses(kafka: Cluster, tmp_path: Path) -> None:
    log, clock, codec = KafkaLog(kafka.bootstrap_servers), SystemClock(), Codec(app)
    settings = Settings(state_dir=tmp_path, inbox_partitions=3)
    topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
    compacted = {"cleanup.policy": "compact"}
    log.create_topics([TopicSpec(each, 3, compacted) for each in (BALANCES, OUTCOMES)])
    starts.set_starts(app, log, starts.find_starts(app, log))
    writer = log.writer()
    for each in TRANSFERS:
        writer.produce("bank.transfers", codec.encode_event("bank.transfers", each))
    writer.flush(10)
    workers = [
        make_worker(app, NAMES.process_manager, role, role, log, settings, clock) for role in ROLES
    ]
    bank = Bank(log, clock, codec.decode, codec.encode_event)
    done, until = 0, time.monotonic() + 60
    while not (done >= COMMANDS and has_ended(log)):
        assert time.monotonic() < until, f"{done} commands done"
        for worker in workers:
            worker.turn()
        did = bank.turn()
        if did and not done:  # another one takes over after the first commands
            bank.close()
            bank = Bank(log, clock, codec.decode, codec.encode_event)
        done += did
    for worker in workers:
        worker.close()
    bank.close()

    found = read_balances(log, clock)
    moved = {account: balance - OPENING_BALANCE for account, balance in found.items()}
    assert moved == {"alice": -100, "bob": 100, "dora": 0}
