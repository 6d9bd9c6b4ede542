"""A small shop on the memory log: one process manager, two source topics, one command topic."""

from typing import Any

from pmstream import App
from pmstream.app import Names
from pmstream.config import Settings
from pmstream.examples.transfer import TransferMoney, app
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog

NAMES = Names("bank", "transfer-money")
SOURCES = ("bank.transfers", "bank.accounts")
COMMANDS = "bank.account-commands"
SETTINGS = Settings(inbox_partitions=3)


def bank(**options: Any) -> App:
    """The example's app with options for its process manager."""
    return App(
        name="bank",
        schemas=app.schemas,
        events=app.events,
        commands=app.commands,
        process_managers=[TransferMoney(**options)],
    )


def make(log: MemoryLog, *topics: str, partitions: int = 3, **config: str) -> None:
    """Makes topics as their owners would."""
    named = {name.replace("_", "."): value for name, value in config.items()}
    log.create_topics([TopicSpec(topic, partitions, named) for topic in topics])


def write(log: MemoryLog, topic: str, count: int, partition: int = 0) -> None:
    """Puts records into a partition."""
    writer = log.writer()
    for number in range(count):
        writer.produce(topic, b"%d" % number, partition=partition)
    writer.flush(1)


def positions(log: MemoryLog, topic: str, partitions: int = 3) -> dict[int, int]:
    """The router's committed position in each partition."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    found = log.last_committed(NAMES.group("router"), places)
    return {place.partition: each.position for place, each in found.items()}
