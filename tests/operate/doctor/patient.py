"""An app on a real Kafka where nothing is wrong, and an administrator's hands to change that."""

import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (  # type: ignore[attr-defined] # not re-exported for mypy
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    ResourcePatternType,
    ResourceType,
)

from pmstream import App
from pmstream.app import Names
from pmstream.config import Settings
from pmstream.examples.transfer import TransferMoney
from pmstream.examples.transfer import app as bank
from pmstream.operate import starts, topics
from pmstream.operate.doctor import Case, Finding, Severity, examine
from pmstream.operate.doctor.replicas import INTERNAL
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicSpec

TIMEOUT_S = 60.0
PM = "transfer-money"
OF_THE_MACHINE = frozenset({"space-low", "space-out", "round-trip-slow"})
FOREVER = {"retention.ms": "-1"}
_numbers = count(1)


class Patient:
    """An app with names of its own, all its topics and positions there, no worker running.

    Args:
        servers: of the cluster.
        folder: for its state directory and files.
        partitions: of each topic.
        made: topic to how its partitions are replicated, if not by default.
        settings: more settings of the deployment.
    """

    def __init__(
        self,
        servers: str,
        folder: Path,
        partitions: int = 1,
        made: Mapping[str, list[list[int]]] = {},
        settings: Mapping[str, Any] = {},
    ) -> None:
        self.servers, self.folder = servers, folder
        self.name = f"patient-{folder.parent.name}-{next(_numbers)}"
        self.names = Names(self.name, PM)
        self.source, self.commands = f"{self.name}.transfers", f"{self.name}.commands"
        self.admin = AdminClient({"bootstrap.servers": servers, "log_level": 0})
        self.settings = Settings(
            bootstrap_servers=servers,
            inbox_partitions=partitions,
            state_dir=folder / "state",
            **dict(settings),
        )
        self.app = self.make_app()
        self.log = connect(self.settings)
        self.make(self.source, made.get("source"), partitions, **FOREVER)
        plan = topics.plan(self.app, self.log, self.settings, create_missing=True)
        topics.carry_out(plan, self.log)
        starts.set_starts(self.app, self.log, starts.find_starts(self.app, self.log))

    def make_app(self, schemas: Path | None = None) -> App:
        """The example's app under the patient's names."""
        return App(
            name=self.name,
            schemas=schemas or bank.schemas,
            events={self.source: bank.events["bank.transfers"]},
            commands={self.commands: bank.commands["bank.account-commands"]},
            process_managers=[TransferMoney()],
        )

    def case(self, app: App | None = None, **settings: Any) -> Case:
        """What the doctor is told; `settings` differ from those that the topics were made with."""
        ours = self.settings.model_copy(update=settings)
        log = connect(ours)
        return Case(app or self.app, ours, log, log.survey(), SystemClock(), f"{self.name}:app")

    # What an administrator does

    def make(
        self, topic: str, replicas: list[list[int]] | None, partitions: int = 1, **config: str
    ) -> None:
        """Makes a topic."""
        how: dict[str, Any] = {"num_partitions": partitions}
        if replicas is not None:
            how = {"num_partitions": len(replicas), "replica_assignment": replicas}
        asked = self.admin.create_topics([NewTopic(topic, config=config, **how)])
        asked[topic].result(TIMEOUT_S)
        self.log._await_visible([TopicSpec(topic, how["num_partitions"])])

    def wait(self, is_so: Callable[[], bool]) -> None:
        """Until brokers know of a change."""
        until = time.monotonic() + TIMEOUT_S
        while not is_so():
            assert time.monotonic() < until, "the brokers do not get to know of it"
            time.sleep(0.02)

    def alter(self, topic: str, **config: str) -> None:
        """Changes settings of a topic; `_` stands for a dot."""
        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)
            for name, value in config.items()
        ]
        resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
        self.admin.incremental_alter_configs([resource])[resource].result(TIMEOUT_S)

    def settle(self) -> None:
        """Waits until all copies are in sync, those of Kafka's own topics, too."""
        survey = self.log.survey()

        def is_whole() -> bool:
            topics, _ = survey.describe_topics([self.source, self.names.changelog, *INTERNAL])
            return all(
                len(each.in_sync) == len(each.replicas)
                for topic in topics.values()
                for each in topic.partitions
            )

        self.wait(is_whole)

    def grow(self, topic: str, total: int) -> None:
        """Adds partitions."""
        asked = self.admin.create_partitions([NewPartitions(topic, total)])
        asked[topic].result(TIMEOUT_S)
        self.log._await_visible([TopicSpec(topic, total)])

    def delete(self, topic: str) -> None:
        """Deletes a topic."""
        self.admin.delete_topics([topic])[topic].result(TIMEOUT_S)
        self.wait(lambda: topic not in self.log.topics())

    def forget(self, group: str) -> None:
        """Deletes a group and its positions."""
        self.admin.delete_consumer_groups([group])[group].result(TIMEOUT_S)

    def allow(self, kind: ResourceType, name: str, *operations: str) -> None:
        """Allows these, and by that nothing else, where everybody may do all without rules."""
        rules = [
            AclBinding(
                kind,
                name,
                ResourcePatternType.LITERAL,
                "User:ANONYMOUS",
                "*",
                AclOperation[each.upper()],
                AclPermissionType.ALLOW,
            )
            for each in operations
        ]
        for asked in self.admin.create_acls(rules).values():
            asked.result(TIMEOUT_S)

    def lift(self, kind: ResourceType, name: str) -> None:
        """Takes all rules away again."""
        every = AclBindingFilter(
            kind,
            name,
            ResourcePatternType.LITERAL,
            None,  # type: ignore[arg-type] # anybody
            None,  # type: ignore[arg-type] # from anywhere
            AclOperation.ANY,
            AclPermissionType.ANY,
        )
        self.admin.delete_acls([every])[every].result(TIMEOUT_S)


def connect(settings: Settings) -> KafkaLog:
    """As the command line does."""
    return KafkaLog(
        settings.bootstrap_servers,
        settings.kafka,
        session_timeout_ms=settings.session_timeout_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
    )


def wrong_with(case: Case) -> dict[str, Finding]:
    """Code to finding of all that is wrong, but for what depends on this machine."""
    bad = (Severity.WARNING, Severity.FAILURE)
    return {e.code: e for e in examine(case) if e.severity in bad and e.code not in OF_THE_MACHINE}
