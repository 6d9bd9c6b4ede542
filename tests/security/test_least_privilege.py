"""A worker with exactly the documented permissions works; each one that is missing is told.

The embedded Kafka has an authorizer; workers come by a listener with SASL/SCRAM, as a user.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ has no __all__
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from pmstream.devkafka import Cluster, ports
from pmstream.devkafka.properties import Door
from pmstream.errors import PmstreamError
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.operate.topics import named
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import World, make_app

pytestmark = pytest.mark.kafka

USER, PASSWORD = "worker", "a-secret-that-must-not-show"
PATIENCE = 60.0
SASL = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-256",
    "sasl.username": USER,
    "sasl.password": PASSWORD,
}


class Secured(NamedTuple):
    """A cluster with users and permissions; who comes by its plain listener may do all."""

    cluster: Cluster
    admin: AdminClient
    door: Door


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    door = Door("CLIENTS", ports.free(1)[0], "SASL_PLAINTEXT")
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    settings = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "listener.name.clients.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.clients.scram-sha-256.sasl.jaas.config": login,
    }
    with Cluster(settings=settings, door=door) as cluster:
        admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers})
        how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8_192)
        made = UserScramCredentialUpsertion(USER, how, PASSWORD.encode())
        for each in admin.alter_user_scram_credentials([made]).values():
            each.result()
        yield Secured(cluster, admin, door)


@pytest.fixture
def world(secured: Secured, tmp_path: Path) -> Iterator[World]:
    """Its topics are there, made by somebody who may; its workers come as the user."""
    log = KafkaLog(secured.cluster.bootstrap_servers, session_timeout_ms=6_000)
    made = World(log, tmp_path, SystemClock(), 1, make_app(f"secured{time.time_ns()}"))
    made.count("a", range(3))
    yield made
    for each in made.workers.values():
        each.close()


def allow(secured: Secured, world: World, without: tuple[str, str] = ("", "")) -> None:
    """All that docs/doctor.md says a worker needs, but one operation on one thing."""
    prefixed, topic = ResourcePatternType.PREFIXED, ResourceType.TOPIC
    wanted = [
        (topic, name, ResourcePatternType.LITERAL, NEEDED[role]) for role, name in named(world.app)
    ]
    for role in (ROUTER, INSTANCES):
        group, id = world.names.group(role), world.names.transactional_id(role, "")
        wanted.append((ResourceType.GROUP, group, ResourcePatternType.LITERAL, ("read",)))
        wanted.append((ResourceType.TRANSACTIONAL_ID, id, prefixed, ("write",)))
    rules = [
        AclBinding(
            kind,
            name,
            pattern,
            f"User:{USER}",
            "*",
            getattr(AclOperation, operation.upper()),
            AclPermissionType.ALLOW,
        )
        for kind, name, pattern, operations in wanted
        for operation in operations
        if (name, operation) != without
    ]
    mine = AclBindingFilter(
        ResourceType.ANY,
        None,  # type: ignore[arg-type]
        ResourcePatternType.ANY,
        f"User:{USER}",
        None,  # type: ignore[arg-type]
        AclOperation.ANY,
        AclPermissionType.ANY,
    )
    before = len(secured.admin.describe_acls(mine).result())
    for each in secured.admin.create_acls(rules).values():
        each.result()
    deadline = time.monotonic() + PATIENCE
    while len(secured.admin.describe_acls(mine).result()) < before + len(rules):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def work(secured: Secured, world: World, **changed: str) -> None:
    """Workers run as the user until all commands are out."""
    plain = world.log
    world.log = KafkaLog(secured.door.address, {**SASL, **changed}, session_timeout_ms=6_000)
    try:
        world.start_all()
        world.log = plain
        deadline = time.monotonic() + PATIENCE
        while len(world.commands()) < 3:
            assert time.monotonic() < deadline, f"no error, and nothing done: {world.told[-3:]}"
            world.turn(10)
    finally:
        world.log = plain


def test_the_documented_permissions_are_enough(secured: Secured, world: World) -> None:
    allow(secured, world)

    work(secured, world)

    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    ("what", "operation", "said"),
    [
        ("source", "read", "{source}-"),
        ("inbox", "read", "{inbox}-0"),
        ("inbox", "write", "TOPIC_AUTHORIZATION_FAILED"),
        ("changelog", "write", "TOPIC_AUTHORIZATION_FAILED"),
        ("orders", "read", "{orders}-0"),
        ("target", "write", "TOPIC_AUTHORIZATION_FAILED"),
        ("router group", "read", "{router group}"),
        ("instances group", "read", "{instances group}"),
        ("instances id", "write", "{instances id}w-0"),
        ("router id", "write", "{router id}router-0"),
    ],
)
def test_a_missing_permission_is_told_with_its_name_or_who_knows_it(
    secured: Secured, world: World, what: str, operation: str, said: str
) -> None:
    names = world.names
    things = {
        "source": world.source,
        "target": world.target,
        "inbox": names.inbox,
        "changelog": names.changelog,
        "orders": names.orders,
        "router group": names.group(ROUTER),
        "instances group": names.group(INSTANCES),
        "router id": names.transactional_id(ROUTER, ""),
        "instances id": names.transactional_id(INSTANCES, ""),
    }
    allow(secured, world, (things[what], operation))

    with pytest.raises(PmstreamError) as raised:
        work(secured, world)

    told = str(raised.value)
    assert said.format(**things) in told
    assert "`pmstream doctor APP`" in told
    assert PASSWORD not in told


def test_a_wrong_password_is_told_and_never_shown(secured: Secured, world: World) -> None:
    wrong = "another-secret"

    with pytest.raises(PmstreamError) as raised:
        work(secured, world, **{"sasl.password": wrong})

    told = str(raised.value)
    assert "SASL" in told
    assert secured.door.address in told
    assert wrong not in told
