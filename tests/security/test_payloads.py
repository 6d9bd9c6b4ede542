"""What stands in events, states, replies and orders is in no log line, error, trace or metric."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pmstream import App, ProcessManager, Topic, failure, routing
from pmstream.app import Names
from pmstream.cli import logs
from pmstream.config import Settings
from pmstream.core.messages import COMMAND_ID, OUTCOME, REJECTED
from pmstream.errors import PmstreamError
from pmstream.operate import orders, topics
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.exposition import Exposition, metrics_app
from pmstream.runtime.health import QUESTIONS, Health
from pmstream.runtime.log import Committed, Headers, Log, Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.orders import KIND, ORDER
from pmstream.runtime.roles import INSTANCES, ROUTER, make_worker
from pmstream.runtime.sources import Note, dump_note
from pmstream.runtime.worker import Worker
from tests.runtime.told import Told, worker
from tests.runtime.tracing.kit import SAMPLED, Collector

MARK = "4929-SECRET-CARD"
"""Stands in every payload, and in what the author's code raises about it."""

KIND_HEADER = "type"


class Placed(Struct, frozen=True):
    __schema__ = "shop.Placed"
    order: str
    card: str
    does: str = ""


class Charge(Struct, frozen=True):
    __schema__ = "shop.Charge"
    order: str
    card: str


class State(Struct, frozen=True):
    card: str = ""


class Shop(ProcessManager[State]):
    name, state, dispatch = "shop", State, "confirm"

    def interested(self, event: Placed) -> routing.Answer:
        if event.does.startswith("lost"):
            raise ValueError(f"nobody knows {event!r}")
        return routing.Start(event.order)

    def handle(self, state: State, event: Placed) -> Any:
        if event.does:
            raise ValueError(f"card {event.card} of {state!r} at {msgspec.json.encode(event)!r}")
        return Charge(event.order, event.card)

    def apply(self, state: State, event: Placed) -> State:
        return State(event.card)

    def error(self, error: Exception, failed: Any, context: Any) -> failure.Answer:
        does = getattr(context.last_event, "does", "")
        answers: dict[str, failure.Answer] = {
            "halt": failure.Stop(error),
            "say": failure.Stop(f"because of {context.last_event.card}"),
            "park": failure.Park(),
            "retry": failure.Retry(delay=3_600),
            "lost-park": failure.Park(),
            "lost-halt": failure.Stop(error),
        }
        return answers.get(does, failure.Park())


class Chest:
    """A shop at work, and all that it tells: log lines, errors, spans, metrics, health."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.clock = VirtualClock()
        self.log: Log = MemoryLog(self.clock)
        self.settings = Settings(state_dir=folder, inbox_partitions=1)
        self.app = App(
            name="shop",
            schemas=folder,
            events={"placed": Topic([Placed], format="json", type_header=KIND_HEADER)},
            commands={"charges": Topic({Charge: "order"}, format="json", type_header=KIND_HEADER)},
            process_managers=[Shop(**options)],
        )
        self.names, self.collector = Names("shop", "shop"), Collector()
        plan = topics.plan(self.app, self.log, self.settings, create_missing=True)
        self.log.create_topics(plan.create)
        place = TopicPartition("placed", 0)
        origin = Committed(0, dump_note(Note("ensure", self.log.topics()["placed"].id)))
        self.log.set_positions(self.names.group(ROUTER), {place: origin})
        self.error = ""
        self.workers: list[Worker] = []
        for role in (ROUTER, INSTANCES):
            trail = self.collector.trail()
            made = make_worker(
                self.app, "shop", role, role, self.log, self.settings, self.clock,
                logs.told, trail=trail,
            )  # fmt: skip
            self.workers.append(made)

    def write(
        self, topic: str, value: bytes, key: bytes | None = None, headers: Headers = ()
    ) -> None:
        writer = self.log.writer()
        writer.produce(topic, value, key, headers, 0)
        writer.flush(1)

    def place(self, **fields: Any) -> None:
        value = json.dumps({"order": "o-1", "card": MARK, **fields}).encode()
        self.write("placed", value, b"k", (*SAMPLED, (KIND_HEADER, b"shop.Placed")))
        self.work()

    def work(self) -> None:
        """Until nothing moves, or a worker ends."""
        try:
            for _ in range(300):
                for each in self.workers:
                    each.turn()
        except PmstreamError as error:
            logs.ended(error)
            self.error = str(error)

    def read(self, topic: str) -> list[Record]:
        reader = self.log.reader()
        reader.assign({TopicPartition(topic, 0): 0})
        found = [each for _ in range(20) for each in reader.read(9, 0.1)]
        reader.close()
        return found

    def told(self) -> str:
        """All but the log lines."""
        views = [worker(values=each.vitals().values, end=self.error) for each in self.workers]
        health = Health(Told(workers=views, stopped={"shop": self.error}), 60)
        shown = b"".join(metrics_app(Exposition("shop", "1", health))({
            "REQUEST_METHOD": "GET", "PATH_INFO": "/metrics", "QUERY_STRING": "",
        }, lambda *_: None))  # fmt: skip
        answers = [question(health) for question in QUESTIONS.values()]
        spans = "".join(each.to_json() for each in self.collector.spans)
        return f"{self.error}\n{shown.decode()}\n{answers}\n{spans}"

    def close(self) -> None:
        for each in self.workers:
            each.close()
        self.collector.close()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """All that is logged, at debug, as a worker writes it."""
    logger = logging.getLogger("pmstream")
    logger.propagate = True
    caplog.set_level(logging.DEBUG)
    return caplog


@pytest.fixture
def chest(tmp_path: Path) -> Iterator[Chest]:
    made = Chest(tmp_path)
    yield made
    made.close()


def told(chest: Chest, lines: pytest.LogCaptureFixture) -> str:
    return chest.told() + lines.text


@pytest.mark.parametrize("does", ["halt", "say", "park", "retry", "lost-park", "lost-halt"])
def test_what_an_author_raises_about_a_payload(
    chest: Chest, lines: pytest.LogCaptureFixture, does: str
) -> None:
    chest.place(does=does)

    found = told(chest, lines)
    assert MARK not in found
    assert ("***" in found) == (does != "lost-park"), "it is told that something failed, and how"
    assert bool(chest.error) == (does in ("halt", "say", "lost-halt"))


@pytest.mark.parametrize("option", ["dead-letter", "stop"])
@pytest.mark.parametrize(
    "value",
    [
        b'{"order": 7, "card": "' + MARK.encode() + b'"}',
        b'{"order": "o-1", "card": ["' + MARK.encode() + b'"]}',
        MARK.encode(),
        b'"' + MARK.encode() + b'"',
        b"\xff" + MARK.encode(),
    ],
)
def test_a_record_that_is_no_message(
    tmp_path: Path, lines: pytest.LogCaptureFixture, option: str, value: bytes
) -> None:
    chest = Chest(tmp_path, undecodable=option)
    chest.write("placed", value, b"k", (*SAMPLED, (KIND_HEADER, b"shop.Placed")))
    chest.work()

    assert MARK not in told(chest, lines)
    assert ("cannot be decoded" in chest.error) == (option == "stop")
    chest.close()


@pytest.mark.parametrize("outcome", [REJECTED, MARK.encode()])
def test_a_reply_with_a_reason(
    chest: Chest, lines: pytest.LogCaptureFixture, outcome: bytes
) -> None:
    chest.place()
    [asked] = chest.read("charges")
    id = dict(asked.headers)[COMMAND_ID]
    reason = json.dumps({"why": MARK, "list": [MARK]}).encode()
    chest.write(chest.names.replies, reason, b"o-1", ((COMMAND_ID, id), (OUTCOME, outcome)))
    chest.work()

    assert MARK not in told(chest, lines)


@pytest.mark.parametrize(
    "value",
    [
        MARK.encode(),
        json.dumps({"id": "1", "verb": MARK, "process_uuid": "o-1"}).encode(),
        json.dumps(
            {
                "id": "1",
                "verb": "edit",
                "process_uuid": "o-1",
                "arguments": {"set": {"card": MARK}, "expect": {"card": MARK + "!"}},
            }
        ).encode(),
    ],
)
def test_an_order(chest: Chest, lines: pytest.LogCaptureFixture, value: bytes) -> None:
    chest.place(does="park")
    chest.write(chest.names.orders, value, b"o-1", ((KIND, ORDER),))
    chest.work()

    assert len(orders.audit(chest.log, chest.names)) == 1
    assert MARK not in told(chest, lines)


def test_the_topics_keep_what_was_said(chest: Chest) -> None:
    """Who may read them may know: there the text is whole."""
    chest.place(does="park")

    found = chest.read(chest.names.changelog)

    assert any(
        b"ValueError" in each.value and MARK.encode() in each.value for each in found if each.value
    )
