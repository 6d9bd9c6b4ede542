"""Faults to plant in a patient on one healthy broker, and what the doctor must find: a table.

Each is a context manager: it plants, yields the case to examine, and takes the fault away if it
would outlive the patient.
"""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import confluent_kafka as ck
from msgspec import structs

from pmstream.examples.transfer import app as bank
from pmstream.operate.doctor import Case
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.log import Committed, TopicPartition
from tests.operate.doctor.patient import TIMEOUT_S, Patient

HOUR_MS = 3_600_000


@dataclass(frozen=True)
class Plant:
    """A fault: its name, the code of its finding, how it is planted, what else follows from it."""

    name: str
    code: str
    planted: Callable[[Patient], AbstractContextManager[Case]]
    also: frozenset[str] = frozenset()
    scratch: bool = False


@contextmanager
def altered(topic: Callable[[Patient], str], config: dict[str, str], p: Patient) -> Iterator[Case]:
    p.alter(topic(p), **config)
    yield p.case()


@contextmanager
def deleted(topic: Callable[[Patient], str], p: Patient) -> Iterator[Case]:
    p.delete(topic(p))
    yield p.case()


@contextmanager
def set_otherwise(settings: Callable[[Patient], dict[str, Any]], p: Patient) -> Iterator[Case]:
    yield p.case(**settings(p))


@contextmanager
def grown(p: Patient) -> Iterator[Case]:
    p.grow(p.names.changelog, 2)
    yield p.case()


@contextmanager
def positions_forgotten(p: Patient) -> Iterator[Case]:
    p.forget(p.names.group("router"))
    yield p.case()


@contextmanager
def positions_set_from_outside(p: Patient) -> Iterator[Case]:
    where = TopicPartition(p.source, 0)
    p.log.set_positions(p.names.group("router"), {where: Committed(0, "by hand")})
    yield p.case()


@contextmanager
def file_in_the_way(p: Patient) -> Iterator[Case]:
    p.settings.state_dir.write_text("a file")
    yield p.case()


@contextmanager
def few_open_files(p: Patient) -> Iterator[Case]:
    """Many partitions under a limit that still lets this process open what it needs itself."""
    for topic in (p.names.inbox, p.names.changelog, p.names.orders):
        p.grow(topic, 60)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    try:
        yield p.case()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextmanager
def other_schema(p: Patient) -> Iterator[Case]:
    folder = Path(shutil.copytree(bank.schemas, p.folder / "avro"))
    file = folder / "bank.MoneyTransferRequested.avsc"
    schema = json.loads(file.read_text())
    schema["fields"][0]["type"] = "long"
    file.write_text(json.dumps(schema))
    yield p.case(p.make_app(folder))


@contextmanager
def wrong_clock(off_ms: int, p: Patient) -> Iterator[Case]:
    class Wrong(SystemClock):
        def now(self) -> int:
            return super().now() + off_ms

    yield structs.replace(p.case(), clock=Wrong())


@contextmanager
def left_over(p: Patient) -> Iterator[Case]:
    p.make(f"{p.name}.doctor.12345678", None)
    yield p.case()


@contextmanager
def member(strategy: str, topic: Callable[[Patient], str], p: Patient) -> Iterator[Case]:
    """Somebody else in the router's group."""
    client = ck.Consumer(
        {
            "bootstrap.servers": p.servers,
            "group.id": p.names.group("router"),
            "client.id": "stranger",
            "partition.assignment.strategy": strategy,
            "enable.auto.commit": False,
        }
    )
    owned: list[ck.TopicPartition] = []
    client.subscribe([topic(p)], on_assign=lambda _client, partitions: owned.extend(partitions))
    try:
        for _ in range(int(TIMEOUT_S * 10)):
            client.poll(0.1)
            if owned:
                break
        assert owned, "the stranger did not get into the group"
        yield p.case()
    finally:
        client.close()


def inbox(p: Patient) -> str:
    return p.names.inbox


def changelog(p: Patient) -> str:
    return p.names.changelog


def dead_letters(p: Patient) -> str:
    return p.names.dead_letters


def source(p: Patient) -> str:
    return p.source


def commands(p: Patient) -> str:
    return p.commands


def _setting(
    name: str, code: str, topic: Callable[[Patient], str], config: dict[str, str]
) -> Plant:
    return Plant(name, code, partial(altered, topic, config))


PLANTS = (
    _setting("inbox that expires", "setting-unsafe", inbox, {"retention_ms": f"{HOUR_MS}"}),
    _setting(
        "inbox of senders' times", "setting-unsafe", inbox, {"message_timestamp_type": "CreateTime"}
    ),
    _setting("inbox of small records", "setting-unsafe", inbox, {"max_message_bytes": "100000"}),
    _setting(
        "changelog that is not compacted", "setting-unsafe", changelog, {"cleanup_policy": "delete"}
    ),
    _setting(
        "changelog of long segments",
        "setting-differs",
        changelog,
        {"segment_ms": f"{99 * HOUR_MS}"},
    ),
    _setting(
        "changelog that nobody may write",
        "min-isr-over-copies",
        changelog,
        {"min_insync_replicas": "2"},
    ),
    _setting("compacted source", "source-compacted", source, {"cleanup_policy": "compact"}),
    _setting(
        "source that forgets in a day",
        "source-expires-soon",
        source,
        {"retention_ms": f"{24 * HOUR_MS}"},
    ),
    _setting(
        "source of bounded size", "source-expires-by-size", source, {"retention_bytes": "100000000"}
    ),
    _setting(
        "commands of small records", "commands-too-small", commands, {"max_message_bytes": "10000"}
    ),
    Plant("no dead-letter topic", "topic-missing", partial(deleted, dead_letters)),
    Plant("no command topic", "topic-fault", partial(deleted, commands)),
    Plant("changelog with more partitions", "topic-fault", grown),
    Plant("positions forgotten", "no-start", positions_forgotten),
    Plant("positions set from outside", "start-fault", positions_set_from_outside),
    Plant("file in the way of the state", "state-unusable", file_in_the_way),
    Plant("few open files", "few-open-files", few_open_files),
    Plant("schema of another type", "schema-fault", other_schema),
    Plant("clock two minutes ahead", "clock-wrong", partial(wrong_clock, 120_000), scratch=True),
    Plant("clock ten seconds behind", "clock-skew", partial(wrong_clock, -10_000), scratch=True),
    Plant("scratch topic left over", "scratch-left", left_over),
    Plant("member with another strategy", "group-assignor", partial(member, "range", source)),
    Plant(
        "member of another program",
        "group-stranger",
        partial(member, "cooperative-sticky", commands),
    ),
    Plant(
        "address of nobody",
        "bootstrap-silent",
        partial(set_otherwise, lambda p: {"bootstrap_servers": f"{p.servers},127.0.0.1:1"}),
    ),
    Plant(
        "transactions of an hour",
        "transaction-timeout-refused",
        partial(set_otherwise, lambda _p: {"transaction_timeout_ms": HOUR_MS}),
        frozenset({"round-trip-failed", "transactional-id-not-allowed"}),
        scratch=True,
    ),
    Plant(
        "sessions of a second",
        "session-timeout-refused",
        partial(set_otherwise, lambda _p: {"session_timeout_ms": 1_000}),
    ),
    Plant(
        "client of small records",
        "client-too-small",
        partial(set_otherwise, lambda _p: {"kafka": {"message.max.bytes": "100000"}}),
    ),
)
