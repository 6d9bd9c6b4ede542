"""A worker with exactly the documented permissions works; each one that is missing is told.

The embedded Kafka has an authorizer; workers come by a listener with SASL/SCRAM, as a user.
"""

import pytest

from pmstream.errors import PmstreamError
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.runtime.world import World
from tests.security.kit import PASSWORD, SASL, Secured, allow, start, work

pytestmark = pytest.mark.kafka


EVENTS = 3
"""Of the world: so many commands come out."""


def run(secured: Secured, world: World, properties: dict[str, str], commands: int = EVENTS) -> None:
    start(world, secured.doors["scram"], properties)
    work(world, commands)


def test_the_documented_permissions_are_enough(secured: Secured, world: World) -> None:
    allow(secured, world)

    run(secured, world, SASL)

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
        # Never so many come out: all may be done before the refusal of a topic is heard.
        run(secured, world, SASL, EVENTS + 1)

    told = str(raised.value)
    assert said.format(**things) in told
    assert "`pmstream doctor APP`" in told
    assert PASSWORD not in told


def test_a_wrong_password_is_told_and_never_shown(secured: Secured, world: World) -> None:
    wrong = "another-secret"

    with pytest.raises(PmstreamError) as raised:
        start(world, secured.doors["scram"], {**SASL, "sasl.password": wrong})

    told = str(raised.value)
    assert "SASL" in told
    assert secured.doors["scram"].address in told
    assert wrong not in told
