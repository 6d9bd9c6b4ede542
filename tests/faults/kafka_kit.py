"""The small world of `tests.runtime.world` on a real Kafka; workers here or in other processes."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    ResourceType,
)

from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from tests.faults.kit import check, is_done
from tests.runtime.world import World, make_app

PATIENCE = 120.0
"""Seconds until something counts as never coming true, on the slowest machine."""
_ROOT = Path(__file__).parent.parent.parent


class Child:
    """A worker in a process of its own (`tests.faults.child`)."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.name = given["name"]
        self._log = Path(given["directory"]) / f"{self.name}.log"
        with self._log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.child", json.dumps(given)],
                cwd=_ROOT,
                stdout=output,
                stderr=output,
            )

    def send(self, number: signal.Signals) -> None:
        """Sends a signal."""
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and waits for the end."""
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """What it has printed so far."""
        return self._log.read_text()


class KafkaWorld(World):
    """A world whose names nobody else has, so that tests share a broker.

    Args:
        servers: where Kafka is.
        directory: for stores.
        partitions: of the inbox.
        options: of the log: timeouts, properties.
        direct: whether the source topic is read without a router.
        settings: overrides of Settings.
    """

    def __init__(
        self,
        servers: str,
        directory: Path,
        partitions: int = 2,
        options: Mapping[str, Any] | None = None,
        manager: Mapping[str, Any] | None = None,
        *,
        direct: bool = False,
        **settings: Any,
    ) -> None:
        self.servers, self.directory = servers, directory
        self.options: dict[str, Any] = {"session_timeout_ms": 6_000, **(options or {})}
        self.app_name = f"w{time.time_ns()}"
        self.given_settings, self.given_manager = settings, dict(manager or {})
        if direct:
            self.given_manager["keyed"] = f"{self.app_name}.events"
        self.children: list[Child] = []
        self.admin = AdminClient({"bootstrap.servers": servers})
        super().__init__(
            KafkaLog(servers, **self.options),
            directory,
            SystemClock(),
            partitions,
            make_app(self.app_name, **self.given_manager),
            **settings,
        )

    def child(self, role: str, name: str, **plan: Any) -> Child:
        """Starts a worker in a process of its own; `plan`: see `tests.faults.child`."""
        child = Child(
            {
                "servers": self.servers,
                "options": self.options,
                "app": self.app_name,
                "manager": self.given_manager,
                "settings": {**self.given_settings, "state_dir": str(self.settings.state_dir)},
                "directory": str(self.directory),
                "role": role,
                "name": name,
                **plan,
            }
        )
        self.children.append(child)
        return child

    def crash(self, name: str) -> None:
        """As SIGKILL: the static member goes silently, its transaction stays open."""
        worker = self.workers[name]
        super().crash(name)
        worker._consumer.close()
        worker._producer.drop()

    def settle(self, is_done: Callable[[], bool] | None = None, turns: int = 0) -> None:
        """Turns until `is_done` (looked at seldom), or until nothing has moved for a second."""
        deadline = time.monotonic() + PATIENCE
        moved, last = time.monotonic(), self._marks()
        while time.monotonic() < deadline:
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                if self.workers:
                    self.turn()
                else:
                    time.sleep(0.05)
            if is_done is not None:
                if is_done():
                    return
                continue
            marks = self._marks()
            if marks != last:
                moved, last = time.monotonic(), marks
            elif time.monotonic() - moved > 1:
                return
        raise AssertionError(f"not in time: {self.told[-5:]} {self.last_words()}")

    def last_words(self) -> str:
        """Ends of the children's output."""
        return "\n".join(f"{each.name}: {each.said()[-1500:]}" for each in self.children)

    def grow(self, topic: str, partitions: int) -> None:
        """Adds partitions to a topic."""
        made = self.admin.create_partitions([NewPartitions(topic, partitions)])
        made[topic].result(10)

    def alter(self, topic: str, name: str, value: str) -> None:
        """Changes a topic's setting."""
        entry = ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
        self.admin.incremental_alter_configs([resource])[resource].result(10)
        wait_until(lambda: self.log.config(topic)[name] == value)

    def delete_topic(self, topic: str) -> None:
        """Deletes a topic, and waits until it is gone."""
        self.admin.delete_topics([topic])[topic].result(10)
        deadline = time.monotonic() + PATIENCE
        while topic in self.log.topics():
            assert time.monotonic() < deadline

    def close(self) -> None:
        """Ends every worker, here and elsewhere."""
        super().close()
        for each in self.children:
            if each.process.poll() is None:
                each.process.kill()
            each.process.wait()

    def finish(self, last: int) -> None:
        """Waits until all is done, then checks everything."""
        self.settle(lambda: is_done(self, last))
        self.settle()
        check(self, last)


def wait_until(condition: Callable[[], object], turn: Callable[[], object] | None = None) -> float:
    """Waits until a condition holds; answers how long it took, in seconds."""
    since = time.monotonic()
    while not condition():
        assert time.monotonic() - since < PATIENCE, "it never came true"
        if turn is not None:
            turn()
        else:
            time.sleep(0.02)
    return time.monotonic() - since
