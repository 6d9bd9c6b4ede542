"""The doctor on a real Kafka: each planted fault is found, nothing on a healthy cluster."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import ResourceType  # type: ignore[attr-defined] # not re-exported
from msgspec import structs

from pmstream.devkafka import Cluster
from pmstream.operate.doctor import Severity, examine
from tests.operate.doctor.patient import OF_THE_MACHINE, Patient, wrong_with
from tests.operate.doctor.plants import PLANTS, Plant

pytestmark = pytest.mark.kafka

SICK = {
    "auto.create.topics.enable": "true",
    "group.max.session.timeout.ms": "9000",
    "offsets.retention.minutes": "60",
    "transaction.max.timeout.ms": "30000",
    "transaction.partition.verification.enable": "false",
    # Everybody may do all, except with what there are rules for.
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "allow.everyone.if.no.acl.found": "true",
}
SICK_CODES = {
    "auto-create-topics",
    "session-timeout-refused",
    "offsets-expire-soon",
    "transaction-timeout-refused",
    "transactions-unverified",
}
FITTING = {"session_timeout_ms": 7_000, "transaction_timeout_ms": 20_000}
HABITS = {"auto-create-topics", "offsets-expire-soon", "transactions-unverified"}


@pytest.fixture(scope="module")
def sick() -> Iterator[Cluster]:
    """A broker whose settings do not suit, with an authorizer."""
    with Cluster(settings=SICK) as cluster:
        yield cluster


def test_nothing_is_wrong_on_a_healthy_broker(kafka: Cluster, tmp_path: Path) -> None:
    patient = Patient(kafka.bootstrap_servers, tmp_path, 3)
    before = set(patient.log.topics())

    found = list(examine(patient.case()))

    bad = [e for e in found if e.severity is not Severity.OK and e.code not in OF_THE_MACHINE]
    assert bad == []
    assert set(patient.log.topics()) <= before


def test_nothing_is_wrong_on_three_healthy_brokers(kafka3: Cluster, tmp_path: Path) -> None:
    patient = Patient(kafka3.bootstrap_servers, tmp_path, 3, settings={"replication": 3})
    patient.settle()

    assert wrong_with(patient.case()) == {}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.name)
def test_a_planted_fault_is_found_and_nothing_else(
    plant: Plant, kafka: Cluster, tmp_path: Path
) -> None:
    patient = Patient(kafka.bootstrap_servers, tmp_path)
    with plant.planted(patient) as case:
        found = wrong_with(structs.replace(case, scratch=plant.scratch))

    assert plant.code in found
    assert set(found) - plant.also == {plant.code}
    assert found[plant.code].remedy


def test_there_are_fifteen_kinds_of_planted_faults_at_least() -> None:
    assert len({plant.code for plant in PLANTS}) >= 15


def test_settings_of_brokers_that_do_not_suit_are_found(sick: Cluster, tmp_path: Path) -> None:
    patient = Patient(sick.bootstrap_servers, tmp_path)

    found = wrong_with(structs.replace(patient.case(), scratch=False))

    assert set(found) == SICK_CODES


@pytest.mark.parametrize(
    ("kind", "name", "allowed", "code", "text"),
    [
        (
            ResourceType.TOPIC,
            "{app}.transfer-money.inbox",
            ("describe", "describe_configs", "read", "write"),
            "topic-not-allowed",
            "not allowed: Delete (inbox)",
        ),
        (
            ResourceType.TOPIC,
            "{app}.commands",
            ("describe", "describe_configs"),
            "topic-not-allowed",
            "not allowed: Write (commands)",
        ),
        (
            ResourceType.GROUP,
            "{app}.transfer-money.router",
            ("describe",),
            "group-not-allowed",
            "not allowed: Read",
        ),
        (
            ResourceType.TRANSACTIONAL_ID,
            "{app}.transfer-money.instances.doctor",
            ("describe",),
            "transactional-id-not-allowed",
            "TRANSACTIONAL_ID_AUTHORIZATION_FAILED",
        ),
    ],
    ids=["purge", "commands", "group", "transactional id"],
)
def test_each_lacking_permission_is_named(
    sick: Cluster,
    tmp_path: Path,
    kind: ResourceType,
    name: str,
    allowed: tuple[str, ...],
    code: str,
    text: str,
) -> None:
    patient = Patient(sick.bootstrap_servers, tmp_path, settings=FITTING)
    name = name.format(app=patient.name)
    patient.allow(kind, name, *allowed)

    found = wrong_with(patient.case())

    assert set(found) - HABITS == {code}
    assert found[code].where == name
    assert text in found[code].what


def test_what_a_lost_broker_takes_along_is_found(kafka3: Cluster, tmp_path: Path) -> None:
    patient = Patient(kafka3.bootstrap_servers, tmp_path, 1, {"source": [[3]]})
    patient.alter(patient.source, min_insync_replicas="1")
    patient.settle()
    before = set(wrong_with(structs.replace(patient.case(), scratch=False)))
    kafka3.stop_broker(3)
    try:
        found = wrong_with(structs.replace(patient.case(), scratch=False))
    finally:
        kafka3.start_broker(3)
        patient.settle()

    assert before == {"few-copies"}
    assert found["no-leader"].what == "nobody leads it; brokers away: 3"
    assert found["no-leader"].where == f"{patient.source}-0"
    assert "under-replicated" in found
    assert "127.0.0.1" in found["bootstrap-silent"].where
