"""Direct mode and time: a source's own timestamps call for no deadline; replies, holds, timers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.core.lifecycle import Condition
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.memory import MemoryLog
from tests.faults.kit import in_condition
from tests.runtime.clocked import FIRED, TIMER_SECONDS, ClockedWorld, make_app
from tests.runtime.direct_world import Direct
from tests.runtime.world import SOURCE

HOUR = 3_600


class DirectClocked(Direct, ClockedWorld):
    """Timers, confirmed commands and holds, without a router."""


@pytest.fixture(params=["CreateTime", "LogAppendTime"])
def world(
    request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> Iterator[DirectClocked]:
    stamp = {"message.timestamp.type": request.param, "max.message.bytes": "1048588"}
    log.create_topics([TopicSpec(SOURCE, 1, stamp)])
    app = make_app(keyed=SOURCE, dispatch="confirm", confirm_timeout=HOUR * 24)
    made = DirectClocked(log, tmp_path, clock, 1, app, inbox_partitions=1, max_batch_records=2)
    made.start_all()
    yield made
    made.close()


def test_a_timer_fires_once(world: DirectClocked, clock: VirtualClock) -> None:
    world.count("a", [1], what="timer")
    world.settle(lambda: len(world.asked()) == 1)
    world.reply(world.asked()[0])
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    clock.advance(TIMER_SECONDS + 1)
    world.settle(lambda: len(world.asked()) == 2)
    world.settle()
    assert world.counts("a") == [(1, 1), (FIRED, 1)]


def test_after_downtime_deadlines_wait_for_the_sources_end_unless_the_broker_stamps_it(
    world: DirectClocked, clock: VirtualClock, log: MemoryLog
) -> None:
    """Only a broker's timestamps tell that all that is older has been read."""
    world.count("a", [1], what="timer")
    world.settle(lambda: len(world.asked()) == 1)
    world.reply(world.asked()[0])
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    world.crash("w-0")
    clock.advance(HOUR)
    world.count("b", range(10), what="ignore")
    world.count("a", [2], what="stop")
    world.start_all()
    world.settle()
    is_stamped = log.config(SOURCE)["message.timestamp.type"] == "LogAppendTime"
    assert world.counts("a") == [(1, 1), *([(FIRED, 1)] if is_stamped else [])]


def test_an_early_event_waits_for_its_start(world: DirectClocked) -> None:
    world.count("a", [2], what="early")
    world.count("a", [1])
    for n in (1, 2):
        world.settle(lambda n=n: len(world.asked()) == n)  # type: ignore[misc]
        world.reply(world.asked()[-1])
    world.settle(lambda: in_condition(world, "a") is Condition.IDLE)
    assert [n for n, _ in world.counts("a")] == [1, 2]
