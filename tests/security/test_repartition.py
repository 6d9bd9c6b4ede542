"""An operator with exactly the documented permissions gives a process manager other partitions."""

import time

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its __init__ has no __all__
    ResourcePatternType,
    ResourceType,
)

from pmstream.errors import Busy
from pmstream.operate.standstill import check_members
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log_errors import LogError
from tests.operate.repartitioned import repartitioned
from tests.runtime.world import World
from tests.security.kit import PATIENCE, SASL, Secured, Wanted, grant, work

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

OWN = ("create", "describe_configs", "read", "write")


def needed(world: World) -> list[Wanted]:
    """What docs/repartition.md says."""
    own, prefixed = f"{world.app.name}.counter.", ResourcePatternType.PREFIXED
    sources = ("describe_configs", "read")
    return [
        (ResourceType.TOPIC, world.source, ResourcePatternType.LITERAL, sources),
        (ResourceType.TOPIC, own, prefixed, OWN),
        (ResourceType.GROUP, own, prefixed, ("read",)),
        (ResourceType.TRANSACTIONAL_ID, own, prefixed, ("write",)),
    ]


@pytest.fixture
def stopped(world: World) -> World:
    """It has handled three events, and nobody is in its groups any more."""
    world.start_all()
    work(world)
    world.close()
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            check_members(world.log, world.app, world.names)
        except Busy:
            assert time.monotonic() < deadline
            time.sleep(0.5)
        else:
            return world


def test_the_documented_permissions_are_enough(secured: Secured, stopped: World) -> None:
    grant(secured, needed(stopped))
    before = stopped.changelog()

    repartitioned(stopped, 3, KafkaLog(secured.doors["scram"].address, SASL))

    assert (stopped.partitions, stopped.changelog()) == (3, before)
    stopped.count("a", [3])
    stopped.start_all()
    work(stopped, 4)
    assert stopped.counts("a") == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_what_is_missing_stops_it_and_with_that_it_goes_on(
    secured: Secured, stopped: World
) -> None:
    own, before = f"{stopped.app.name}.counter.", stopped.changelog()
    grant(secured, needed(stopped), (own, "write"))
    as_operator = KafkaLog(secured.doors["scram"].address, SASL)
    with pytest.raises(LogError, match=r"(?i)authoriz"):
        repartitioned(stopped, 3, as_operator)

    kinds = (ResourceType.TOPIC, ResourceType.TRANSACTIONAL_ID)
    grant(secured, [(kind, own, ResourcePatternType.PREFIXED, ("write",)) for kind in kinds])
    repartitioned(stopped, 3, as_operator)

    assert (stopped.partitions, stopped.changelog()) == (3, before)
