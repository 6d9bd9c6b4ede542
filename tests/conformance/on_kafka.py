"""A whole app on a real Kafka and the machine's clock, settled by positions, never by silence."""

import time
from datetime import timedelta
from typing import Any

from pmstream.app import Names
from pmstream.operate.wait import Verdict, handled
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.follow import Follower
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.worker import Worker
from pmstream.testing import Running

PATIENCE_SECONDS = 90.0
"""It never settles, then."""


class OnKafka(Running):
    """As Running, but nothing stands still: it is settled when nothing is left to read or write."""

    _patience = 0.01  # all stand still while one waits for a record

    def __init__(self, servers: str, *arguments: Any, **settings: Any) -> None:
        self._servers = servers
        super().__init__(*arguments, **settings)
        self.settle()

    def settle(self) -> None:
        """Turns until all that stands in the topics is handled, and its commands are seen."""
        until = time.monotonic() + PATIENCE_SECONDS
        while left := self._left():
            assert time.monotonic() < until, f"after {PATIENCE_SECONDS:.0f} s {left}"
            self._turn()

    def advance(self, time_: timedelta) -> None:
        """Time passes by itself here."""
        until = time.monotonic() + time_.total_seconds()
        while time.monotonic() < until:
            self._turn()
        self.settle()

    def _world(self) -> tuple[Log, Any]:
        return KafkaLog(self._servers, session_timeout_ms=6_000), SystemClock()

    def _left(self) -> str:
        """What is still to come, in words; the cheap questions first. "" when it is settled."""
        for (manager, role), worker in self._workers.items():
            if why := _at_hand(worker):
                return f"the {role} of {manager} {why}"
        ends = {place: self.log.end(place, stable=False) for place in self._places(*self._own)}
        for place, end in ends.items():
            # A marker may come after the commit's answer: state and commands are not seen before.
            if self.log.end(place, stable=True) != end:
                return f"{place} has an open transaction"
        for place in self._places(*self._app.commands):
            if (self._services._reader.position(place) or 0) < (ends[place] or 0):
                self._services.turn(self.produce)
                return f"the services are not at the end of {place}"
        return self._unhandled(ends)

    def _unhandled(self, ends: dict[TopicPartition, int | None]) -> str:
        for manager, worker in ((key[0], worker) for key, worker in self._workers.items()):
            stage = worker.stage
            replies = Names(self._app.name, manager).replies
            follower = _follower(worker, replies)
            if follower is not None and isinstance(stage, InstancesStage):
                for part in stage.partitions:
                    place = TopicPartition(replies, part.number)
                    if (follower.position(part.number) or 0) < (ends[place] or 0):
                        return f"{manager} is not at the end of {place}"
        managers = list(self._app.process_managers)
        for place in self._places(*self._app.events):
            if end := ends[place]:
                last = f"{place.topic}-{place.partition}-{end - 1}"
                for each in handled(self.log, self._app, last, managers, timeout=0):
                    if each.verdict is not Verdict.HANDLED:
                        return f"{each.process_manager}: {each.why}"
        return ""


def _follower(worker: Worker, topic: str) -> Follower | None:
    stage = worker.stage
    return stage._feeds._followers.get(topic) if isinstance(stage, InstancesStage) else None


def _at_hand(worker: Worker) -> str:
    load = worker.stage.load()
    if worker._consumer.membership() is None or load.busy:
        return "has not joined"
    if load.waiting or load.staged:
        return "has inputs at hand"
    if load.due_in_ms is not None and load.due_in_ms <= 0:
        return "has something due"
    for part in worker.stage.partitions if isinstance(worker.stage, InstancesStage) else ():
        if not (part.inbox_live and part.replies.is_answered):
            return "is not caught up"  # nothing comes due before that
    return ""
