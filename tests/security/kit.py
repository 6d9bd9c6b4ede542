"""An embedded Kafka with an authorizer and doors of several kinds; workers come by one as a user.

Who comes by its plain listener may do all.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

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
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.operate.topics import named
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import World
from tests.security.certificates import Certificates
from tests.security.issuer import Issuer

ROOT = Path(__file__).parents[2]
USER, PASSWORD = "worker", "a-secret-that-must-not-show"
PATIENCE = 60.0
SASL = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "SCRAM-SHA-256",
    "sasl.username": USER,
    "sasl.password": PASSWORD,
}
DOORS = {
    "scram": "SASL_PLAINTEXT",
    "tls": "SSL",
    "late": "SSL",
    "stranger": "SSL",
    "tokens": "SASL_SSL",
    "unsecured": "SASL_PLAINTEXT",
}
"""What each listener beside the plain one speaks; `late` and `stranger` show bad certificates."""


class Secured(NamedTuple):
    """A cluster with users and permissions, and all that its clients need."""

    cluster: Cluster
    admin: AdminClient
    doors: Mapping[str, Door]
    certificates: Certificates
    issuer: Issuer


@contextmanager
def secured(folder: Path) -> Iterator[Secured]:
    """Runs one; certificates go to the folder."""
    certificates = Certificates(folder)
    numbers = ports.free(len(DOORS))
    doors = {
        name: Door(name.upper(), number, protocol)
        for (name, protocol), number in zip(DOORS.items(), numbers, strict=True)
    }
    with Issuer() as issuer:
        allowed = f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer.url}/keys"
        settings = _settings(certificates, issuer)
        with Cluster(settings=settings, doors=list(doors.values()), jvm=[allowed]) as cluster:
            admin = AdminClient({"bootstrap.servers": cluster.bootstrap_servers, "log_level": 0})
            how = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 8_192)
            made = UserScramCredentialUpsertion(USER, how, PASSWORD.encode())
            for each in admin.alter_user_scram_credentials([made]).values():
                each.result()
            yield Secured(cluster, admin, doors, certificates, issuer)


def _settings(certificates: Certificates, issuer: Issuer) -> dict[str, str]:
    security = "org.apache.kafka.common.security"
    listeners = {
        "scram": {
            "sasl.enabled.mechanisms": "SCRAM-SHA-256",
            "scram-sha-256.sasl.jaas.config": f"{security}.scram.ScramLoginModule required;",
        },
        "tls": certificates.listener("broker"),
        "late": certificates.listener("late"),
        "stranger": certificates.listener("stranger"),
        "tokens": {**certificates.listener("broker", asks_clients=False), **issuer.listener()},
        "unsecured": {
            "sasl.enabled.mechanisms": "OAUTHBEARER",
            "oauthbearer.sasl.jaas.config": (
                f"{security}.oauthbearer.OAuthBearerLoginModule required;"
            ),
            "oauthbearer.connections.max.reauth.ms": "3600000",
        },
    }
    return {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        **{
            f"listener.name.{name}.{key}": value
            for name, settings in listeners.items()
            for key, value in settings.items()
        },
    }


def allow(secured: Secured, world: World, without: tuple[str, str] = ("", "")) -> None:
    """All that docs/security.md says a worker needs, but one operation on one thing."""
    prefixed, topic = ResourcePatternType.PREFIXED, ResourceType.TOPIC
    wanted = [
        (topic, name, ResourcePatternType.LITERAL, NEEDED[role])
        for role, name in named(world.app, [world.names])
    ]
    for role in (ROUTER, INSTANCES):
        group, id = world.names.group(role), world.names.transactional_id(role, "")
        wanted.append((ResourceType.GROUP, group, ResourcePatternType.LITERAL, ("read",)))
        wanted.append((ResourceType.TRANSACTIONAL_ID, id, prefixed, ("write",)))
    grant(secured, wanted, without)


Wanted = tuple[ResourceType, str, ResourcePatternType, tuple[str, ...]]
"""What kind of thing, its name, how that is meant, and operations."""


def grant(secured: Secured, wanted: Sequence[Wanted], without: tuple[str, str] = ("", "")) -> None:
    """Allows the user all that is wanted, but one operation on one thing."""
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


def start(world: World, door: Door, properties: Mapping[str, str]) -> None:
    """Workers come by a door; what the test itself asks goes by the plain listener."""
    plain = world.log
    world.log = KafkaLog(door.address, properties, session_timeout_ms=6_000)
    try:
        world.start_all()
    finally:
        world.log = plain


def work(world: World, commands: int = 3) -> None:
    """Workers turn until so many commands are out."""
    deadline = time.monotonic() + PATIENCE
    while len(world.commands()) < commands:
        assert time.monotonic() < deadline, f"no error, and nothing done: {world.told[-3:]}"
        world.turn(10)


def typed(
    folder: Path, variables: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Runs `pmstream` to its end with these variables, and no other of ours."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("PMSTREAM_")
    }
    return subprocess.run(
        [sys.executable, "-m", "pmstream", *arguments],
        cwd=folder,
        env={**inherited, "PYTHONPATH": str(ROOT), **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def ask(
    folder: Path, door: Door, properties: Mapping[str, str], *arguments: str
) -> tuple[int, str, str]:
    """Runs `pmstream` as a user would: its exit code, output and errors."""
    variables = {"PMSTREAM_BOOTSTRAP_SERVERS": door.address}
    for name, value in properties.items():
        variables[f"PMSTREAM_KAFKA__{name.replace('.', '__')}"] = value
    done = typed(folder, variables, *arguments)
    return done.returncode, done.stdout, done.stderr


def ask_all(
    folder: Path, asked: Sequence[tuple[Door, Mapping[str, str]]], *arguments: str
) -> list[tuple[int, str, str]]:
    """The same command line by several ways at once: each waits for Kafka most of its time."""
    with ThreadPoolExecutor(len(asked)) as threads:
        answers = [threads.submit(ask, folder, *each, *arguments) for each in asked]
        return [each.result() for each in answers]
