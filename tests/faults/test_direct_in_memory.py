"""Direct mode on the memory log: exactly once through crashes, and refused where it is not so."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pmstream.core.engine import Routing
from pmstream.core.routing import Route
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate import topics
from pmstream.operate.wait import Verdict, handled
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import STEPS
from pmstream.runtime.inbox import inbox_headers
from pmstream.runtime.intake import BREAKER_RUN
from pmstream.runtime.log import TopicPartition, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.roles import INSTANCES, ROUTER
from tests.faults.kit import PROCESSES, check, expected, feed, go_on, is_done, stage_of
from tests.runtime.direct_world import Direct
from tests.runtime.kill import Killed, kill_at
from tests.runtime.world import SOURCE, Happened, World, make_app


def make(log: MemoryLog, path: Path, clock: VirtualClock, **options: Any) -> Direct:
    app = make_app(keyed=SOURCE, **options)
    return Direct(log, path, clock, 3, app, inbox_partitions=3, max_batch_records=5)


@pytest.fixture
def world(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[Direct]:
    made = make(log, tmp_path, clock)
    made.start_all()
    yield made
    made.close()


def warm(world: Direct, last: int = 10) -> None:
    feed(world, 0, last)
    world.settle(lambda: is_done(world, last))
    world.settle()


def restart(world: Direct) -> None:
    """The worker dies and comes back."""
    world.crash("w-0")
    world.log.lose(world.names.group(INSTANCES), "w-0")  # type: ignore[attr-defined]
    world.start(INSTANCES, "w-0")


def append(
    world: Direct, key: bytes | None, process: str, partition: int | None = None, what: str = "go"
) -> None:
    writer = world.log.writer()
    value = world.codec.encode_event(SOURCE, Happened(process=process, what=what, n=10))
    writer.produce(SOURCE, value, key, (), partition=partition)
    writer.flush(10)


def test_events_are_handled_once_without_router_and_inbox(world: Direct) -> None:
    warm(world)
    check(world, 10)
    assert world.names.inbox not in world.log.topics()
    restart(world)
    feed(world, 10, 20)
    world.settle(lambda: is_done(world, 20))
    world.settle()
    check(world, 20)


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("step", STEPS)
def test_a_kill_at_any_step_of_a_commit_neither_loses_nor_doubles(
    world: Direct, log: MemoryLog, step: str, times: int
) -> None:
    world.workers.pop("w-0").close()
    world.start(INSTANCES, "w-x", kill_at(step, times))
    feed(world, 0, 10)
    with pytest.raises(Killed):
        world.settle(lambda: is_done(world, 10))
    world.crash("w-x")
    log.lose(world.names.group(INSTANCES), "w-x")
    go_on(world, "w-0")


def test_f38_m_a_source_of_another_partitioner_stops_at_the_first_key_and_names_both(
    world: Direct,
) -> None:
    warm(world)
    right = murmur2_partition(b"a", 3)
    append(world, b"a", "a", right)
    append(world, b"a", "a", (right + 1) % 3)
    with pytest.raises(Stopped, match=r"murmur2, the partitioner of Java.*librdkafka.*CRC32"):
        world.settle(lambda: False)
    restart(world)
    with pytest.raises(Stopped, match="murmur2"):
        world.settle(lambda: False)
    assert world.counts("a") in (expected(10), expected(11))


@pytest.mark.parametrize(
    ("key", "process", "what"),
    [(None, "a", "has no key"), (b"a", "b", "to process 'b'"), (b"a", "a,b", "to 2 processes")],
)
def test_an_event_of_another_process_than_its_key_stops(
    world: Direct, key: bytes | None, process: str, what: str
) -> None:
    append(world, key, process)
    with pytest.raises(Stopped, match=what):
        world.settle(lambda: False)
    assert world.commands() == []


def test_a_key_is_verified_also_of_what_concerns_nobody(world: Direct) -> None:
    append(world, b"a", "a", (murmur2_partition(b"a", 3) + 1) % 3, what="ignore")
    with pytest.raises(Stopped, match="murmur2"):
        world.settle(lambda: False)


def test_headers_of_pmstream_mean_nothing_in_a_source_topic(
    world: Direct, tmp_path: Path, clock: VirtualClock
) -> None:
    routed = World(MemoryLog(clock), tmp_path / "routed", clock)
    routed.start_all()
    routed.count("b", [7])
    routed.settle(lambda: routed.counts("b") == [(7, 1)])
    (forged,) = routed.read(routed.names.inbox)
    routed.close()
    world.produce(Happened(process="a", what="go", n=0), headers=forged.headers)
    world.settle(lambda: bool(world.commands()))
    assert world.counts("a") == expected(1)
    assert world.counts("b") == []


def test_nobody_is_ended_because_of_what_stands_in_a_source(
    world: Direct, clock: VirtualClock, log: MemoryLog
) -> None:
    """An open transaction of its producer hides the source: it alone may end that."""
    warm(world)
    event = Happened(process="a", what="go", n=10)
    told = Routing(Route.START, ["a"])
    foreign = log.producer("foreign")
    foreign.begin()
    value = world.codec.encode_event(SOURCE, event)
    headers = inbox_headers(world.read(SOURCE)[0], told, 0, "foreign")
    foreign.produce(SOURCE, value, b"a", headers)
    foreign.flush(1)
    for _ in range(10):
        clock.advance(2)
        world.turn(3)
    foreign.commit(1)
    world.settle(lambda: world.counts("a") == expected(11))


def test_what_cannot_be_decoded_is_a_dead_letter_and_a_run_of_it_stops_also_over_restarts(
    world: Direct,
) -> None:
    writer = world.log.writer()
    for _ in range(BREAKER_RUN):
        writer.produce(SOURCE, b"\xc3\x01poison", b"a", ())
    writer.flush(10)
    world.settle(lambda: len(world.read(world.names.dead_letters)) >= BREAKER_RUN // 2)
    restart(world)
    with pytest.raises(Stopped, match=f"{BREAKER_RUN} records in a row"):
        world.settle(lambda: False)
    assert len(world.read(world.names.dead_letters)) == BREAKER_RUN - 1


def test_what_interested_fails_at_or_ignores_moves_the_position_on(world: Direct) -> None:
    world.count("a", [5], what="ignore")
    world.count("a", [6], what="bad route")
    warm(world)
    check(world, 10)


def test_expired_positions_go_on_from_the_commit_record(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog, world: Direct
) -> None:
    warm(world)
    world.workers.pop("w-0").close()
    log.lose(world.names.group(INSTANCES), "w-0")
    log.forget_positions(world.names.group(INSTANCES))
    with pytest.raises(ConfigurationError, match="no positions although"):
        world.ensure()
    world.ensure(restart_expired=True)
    go_on(world, "w-0")


def test_without_any_start_it_waits_for_nothing_and_says_so(world: Direct, log: MemoryLog) -> None:
    world.workers.pop("w-0").close()
    log.lose(world.names.group(INSTANCES), "w-0")
    log.forget_positions(world.names.group(INSTANCES))
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="run `pmstream topics ensure`"):
        world.settle(lambda: False)


def test_it_starts_where_it_was_told_to(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    log.create_topics([TopicSpec(SOURCE, 3)])
    value = Codec(make_app()).encode_event(SOURCE, Happened(process="a", what="go", n=0))
    writer = log.writer()
    writer.produce(SOURCE, value, b"a", ())
    writer.flush(10)
    made = make(log, tmp_path, clock, start_from="current")
    made.start_all()
    made.count("a", [1])
    made.settle(lambda: bool(made.commands()))
    assert made.counts("a") == [(1, 1)]
    made.close()


def test_a_source_made_again_is_refused(world: Direct, log: MemoryLog) -> None:
    warm(world)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    log.delete_topic(SOURCE)
    log.create_topics([TopicSpec(SOURCE, 3)])
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="earlier topic"):
        world.settle(lambda: False)


def test_a_source_that_grew_is_refused(world: Direct, log: MemoryLog) -> None:
    warm(world)
    log.add_partitions(SOURCE, 4)
    with pytest.raises(Stopped, match=r"has grown to 4 partitions.*the changelog has 3"):
        world.settle(lambda: False)
    with pytest.raises(ConfigurationError, match=r"has 4 partitions but .*changelog has 3"):
        world.start(INSTANCES, "w-1")
    with pytest.raises(ConfigurationError, match="with keyed they must be equal for life"):
        world.ensure()


def test_keyed_is_not_taken_away_from_who_ran_with_it(
    world: Direct, log: MemoryLog, tmp_path: Path, clock: VirtualClock
) -> None:
    warm(world)
    world.crash("w-0")
    log.lose(world.names.group(INSTANCES), "w-0")
    log.create_topics([TopicSpec(world.names.inbox, 3)])
    world.app.process_managers["counter"].keyed = None
    world.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="written with the option `keyed`"):
        world.settle(lambda: False)


def test_keyed_is_not_given_to_who_ran_without(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    routed = World(log, tmp_path, clock, 2)
    routed.start_all()
    routed.count("a", [0])
    routed.settle(lambda: bool(routed.commands()))
    for name in ("router-0", "w-0"):
        routed.workers.pop(name).close()
    routed.manager.keyed = SOURCE
    plan = topics.plan(routed.app, log, routed.settings)
    assert "it ran with a router" in plan.faults[0]
    routed.start(INSTANCES, "w-0")
    with pytest.raises(Stopped, match="written without the option `keyed`"):
        routed.settle(lambda: False)
    routed.close()


def test_wait_is_over_once_the_position_is_past_the_event(world: Direct) -> None:
    warm(world)
    place = f"{SOURCE}-{murmur2_partition(b'a', 3)}"
    assert handled(world.log, world.app, f"{place}-0", ["counter"])[0].verdict is Verdict.HANDLED
    (late,) = handled(world.log, world.app, f"{place}-99", ["counter"], 0)
    assert late.verdict is Verdict.TIMEOUT


def test_there_is_no_router_to_start(world: Direct) -> None:
    with pytest.raises(ConfigurationError, match="has no router"):
        world.start(ROUTER, "router-0")


def test_nothing_of_the_source_is_purged(world: Direct, clock: VirtualClock) -> None:
    warm(world)
    for _ in range(3):
        clock.advance(3600 * 24 * 30)
        world.settle()
    places = [TopicPartition(SOURCE, number) for number in range(3)]
    assert [world.log.start(each) for each in places] == [0, 0, 0]
    assert len(stage_of(world).partitions) == 3
    assert set(PROCESSES) == {each.process for each in world.commands()}
