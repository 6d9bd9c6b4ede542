"""Contract: a member that stands still loses what it owns, hears of it first, and comes back.

Kafka's client says "revoked" or "lost" for that, as it likes; the fault before it is what counts.
"""

from collections.abc import Iterator

import pytest

from pmstream.devkafka import Cluster
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.log import FaultKind, TopicPartition
from pmstream.runtime.memory import MemoryLog
from tests.contract.conftest import MEMORY, ONE, on
from tests.contract.world import World

pytestmark = pytest.mark.parametrize("world", [MEMORY, ONE], indirect=True)

MAX_POLL_MS = 6_500


class Pair:
    """Two members that own a partition each."""

    def __init__(self, world: World) -> None:
        self.world, self.group, self.topic = world, world.name("group"), world.topic(2)
        self.slow = world.member(self.group, [self.topic], "slow")
        self.quick = world.member(self.group, [self.topic], "quick")
        self.share()
        (self.mine,) = self.slow.owned

    def share(self) -> None:
        """Both gather until each has its share."""
        members = (self.slow, self.quick)
        self.world.gather_until(
            lambda: all(len(each.owned) == 1 and each.consumer.membership() for each in members),
            *members,
        )

    def stand_still(self) -> None:
        """One does not gather for too long; the other one goes on and gets everything."""
        if isinstance(self.world.log, MemoryLog):
            self.world.log.expel(self.group, "slow")
        self.world.gather_until(lambda: len(self.quick.owned) == 2, self.quick)

    def hear(self) -> None:
        """The slow one gathers until it has heard of it."""
        self.world.gather_until(lambda: not self.slow.owned, self.slow)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A log whose members may stand still for seconds only."""
    if request.param == MEMORY:
        made: World = request.getfixturevalue("memory_world")
    else:
        cluster: Cluster = request.getfixturevalue("kafka")
        log, delete_topic = on(cluster, max_poll_interval_ms=MAX_POLL_MS)
        made = World(log, SystemClock(), delete_topic)
    yield made
    made.close()


@pytest.fixture
def pair(world: World) -> Pair:
    return Pair(world)


def test_who_stands_still_hears_that_all_is_gone_and_is_assigned_again(pair: Pair) -> None:
    world, slow, quick, mine = pair.world, pair.slow, pair.quick, pair.mine
    world.write(mine, [b"0", b"1"])
    world.gather_until(lambda: slow.offsets(mine) == [0, 1], slow, quick)

    pair.stand_still()
    world.write(mine, [b"2"])
    world.gather_until(lambda: quick.offsets(mine) == [0, 1, 2], quick)
    assert slow.owned == {mine}, "it cannot know yet"
    heard = len(slow.told)
    pair.hear()

    (fault, _), *_, (gone, partitions) = slow.told[heard:]
    assert fault == "fault", "before anything else"
    assert [each.kind for each in slow.faults] == [FaultKind.EXPELLED]
    assert gone in {"lost", "revoked"}
    assert partitions == [mine]
    assert slow.offsets(mine) == [0, 1]
    pair.share()
    other = TopicPartition(pair.topic, 1 - mine.partition)
    assert slow.owned | quick.owned == {mine, other}
    assert slow.outside == quick.outside == 0


def test_who_stood_still_has_no_membership_until_it_is_back(pair: Pair) -> None:
    before = pair.slow.consumer.membership()
    assert before is not None

    pair.stand_still()
    pair.hear()
    assert pair.slow.consumer.membership() is None
    pair.share()

    after = pair.slow.consumer.membership()
    assert after is not None
    assert after.generation > before.generation
