"""Commits on the memory log: lost answers, timeouts, rebalances, refusals, a store that stalls."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmstream.errors import Stopped
from pmstream.runtime.changelog import COMMIT_KEY
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.log_errors import Again, Fenced, MustAbort, NotAllowed, OutcomeUnknown
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import INSTANCES
from tests.faults.kit import check, expected, feed, is_done, partitions_of
from tests.runtime.world import World


@pytest.fixture
def small(tmp_path: Path, clock: VirtualClock, log: MemoryLog) -> Iterator[World]:
    """Twenty events a process are waiting, batches are small."""
    made = World(log, tmp_path, clock, max_batch_records=4)
    feed(made, 0, 20)
    yield made
    made.close()


def finish(world: World, last: int = 20) -> None:
    world.settle(lambda: is_done(world, last))
    world.settle()
    check(world, last)


CALLS = ["flush", "send_offsets", "commit"]
ANSWERS = [Again, MustAbort, Fenced, OutcomeUnknown]


def folded_up_to_the_checkpoints(world: World) -> dict[bytes, bytes]:
    """The committed changelog up to where each running store says it has come."""
    reached = {part.number: part.checkpoint.next for part in partitions_of(world)}
    found: dict[bytes, bytes] = {}
    for each in world.read(world.names.changelog):
        if each.offset < reached.get(each.partition, 0) and each.key not in (None, COMMIT_KEY):
            assert each.key is not None
            if each.value is None:
                found.pop(each.key, None)
            else:
                found[each.key] = each.value
    return found


@settings(max_examples=15)
@given(
    plan=st.lists(
        st.tuples(
            st.integers(0, 12), st.sampled_from(CALLS), st.sampled_from(ANSWERS), st.booleans()
        ),
        min_size=1,
        max_size=4,
    )
)
def test_f10_m_the_store_is_the_fold_of_what_was_committed(
    tmp_path_factory: pytest.TempPathFactory,
    plan: list[tuple[int, str, type[Exception], bool]],
) -> None:
    """After every turn, whatever the log answered, and whether it had done it all the same."""
    clock = VirtualClock()
    log = MemoryLog(clock)
    world = World(log, tmp_path_factory.mktemp("f10"), clock, max_batch_records=4)
    feed(world, 0, 8)
    world.start_all()
    fences = 0
    # A commit that was made is never answered by MustAbort, whatever was answered before.
    made = any(call == "commit" and after for _, call, _, after in plan)
    plan = [each for each in plan if not (made and each[1:3] == ("commit", MustAbort))]
    for turn in range(40):
        for at, call, error, after in plan:
            fences += turn == at and error is Fenced
            if turn == at and not (after and error is MustAbort) and fences < 2:
                log.inject(call, error(call), after=after, who=world.workers["w-0"]._id)
        world.turn()
        assert world.stores() == folded_up_to_the_checkpoints(world)
    finish(world, 8)
    world.close()


# (call, error, whether the call was done and only its answer lost); a commit that was made is
# never answered with MustAbort, nor an abort with anything that would leave it undone.
FAULTS: list[tuple[str, Exception, bool]] = [
    *(
        (call, error(call), after)
        for call in ("flush", "send_offsets")
        for error in (MustAbort, Again, Fenced)
        for after in (False, True)
    ),
    *(
        ("commit", error("commit"), after)
        for error in (Again, OutcomeUnknown)
        for after in (False, True)
    ),
    ("commit", MustAbort("commit"), False),
    ("abort", OutcomeUnknown("abort"), False),
]


@pytest.mark.parametrize(("call", "error", "after"), FAULTS)
@pytest.mark.parametrize("name", ["router-0", "w-0"])
def test_f12_m_any_answer_of_the_log_leaves_nothing_wrong(
    small: World, log: MemoryLog, name: str, call: str, error: Exception, after: bool
) -> None:
    """Also when the call was done and only its answer was lost."""
    small.start_all()
    small.turn(12)
    who = small.workers[name]._id
    if call == "abort":
        log.inject("flush", MustAbort("flush"), who=who)
    injection = log.inject(call, error, after=after, who=who)
    finish(small)
    assert injection.hits == 1


def test_f14_m_a_store_that_stalls_keeps_its_membership(
    tmp_path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kafka's heartbeats go on meanwhile: here a session of max.poll.interval stands for them."""
    world = World(MemoryLog(clock, session_timeout_ms=120_000), tmp_path, clock)
    world.start_all()
    world.count("a", range(5))
    world.settle()
    store = next(part.store for part in partitions_of(world) if part.position)
    write, stalls = store.write, [60.0]

    def stalled(*args: object) -> None:
        clock.advance(stalls.pop() if stalls else 0)
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write", stalled)
    world.count("a", range(5, 10))
    world.settle()
    assert stalls == []
    assert world.counts("a") == expected(10)
    assert [what for what, _, _ in world.told if what == "dropped"] == []
    assert world.stores() == world.changelog()
    world.close()


@pytest.mark.parametrize("step", ["flush", "offsets", "commit"])
def test_f17_m_a_transaction_that_is_too_old_is_aborted_and_done_again(
    tmp_path: Path, clock: VirtualClock, step: str
) -> None:
    log = MemoryLog(clock, transaction_timeout_ms=60_000, session_timeout_ms=600_000)
    world = World(log, tmp_path, clock, max_batch_records=4)
    feed(world, 0, 20)
    old = [3]

    def probe(at: str) -> None:
        """The worker stands still with a transaction that has begun at the broker."""
        if at == step:
            old[0] -= 1
            if old[0] == 0:
                if at == "flush":
                    world.workers["w-0"]._producer.flush(1)
                clock.advance(61)

    world.start_all()
    world.workers.pop("w-0").close()
    worker = world.start(INSTANCES, "w-0", probe)
    finish(world)
    assert old[0] < 0
    assert worker.report.rebuilds == 1 if step != "offsets" else worker.report.rebuilds <= 1
    world.close()


def test_f19_m_a_rebalance_at_send_offsets_is_redone_for_what_is_owned(
    small: World, log: MemoryLog
) -> None:
    rebalances = [6]

    def probe(at: str) -> None:
        if at == "offsets" and rebalances[0]:
            rebalances[0] -= 1
            log.rebalance(small.names.group(INSTANCES), rotate=True)

    small.start_all()
    small.start(INSTANCES, "w-1", probe)
    finish(small)
    assert rebalances == [0]
    assert small.workers["w-1"].report.aborts > 0


def test_f39_m_an_oversize_command_stops_clearly_and_its_neighbours_are_out(
    tmp_path: Path, clock: VirtualClock, log: MemoryLog
) -> None:
    """The broker takes less than `max_message_bytes` says: no check of ours sees it coming."""
    world = World(log, tmp_path, clock)
    log._broker.topic(world.target).max_bytes = 600
    big = "x" * 250
    world.count("a", range(5))
    world.count(big, [0])
    world.count("a", range(5, 10))
    world.count("b", range(5))
    world.start_all()
    with pytest.raises(Stopped, match="600 at most"):
        world.settle(lambda: False)
    assert world.counts("a") == expected(5)
    for topic in (world.target, world.names.changelog):
        assert all(big.encode() not in (each.key or b"") for each in world.read(topic))
    world.close()


def test_f39_m_an_unknown_command_topic_is_named_at_the_start(fresh: World, log: MemoryLog) -> None:
    log.delete_topic(fresh.target)
    fresh.count("a", range(3))
    with pytest.raises(Stopped, match=r"world\.commands does not exist"):
        fresh.settle(lambda: False)
    assert fresh.changelog() == {}


def test_f39_m_poison_is_a_dead_letter_and_its_neighbours_are_out(fresh: World) -> None:
    writer = fresh.log.writer()
    fresh.count("a", [0])
    writer.produce(fresh.source, b"\xc3\x01poison", b"k", (), partition=0)
    fresh.count("a", [1])
    writer.flush(1)
    fresh.settle()
    assert fresh.counts("a") == expected(2)
    assert [each.value for each in fresh.read(fresh.names.dead_letters)] == [b"\xc3\x01poison"]


@pytest.mark.parametrize("after", [False, True], ids=["not made", "made"])
def test_f52_m_an_unknown_outcome_drops_what_is_cached(
    small: World, log: MemoryLog, after: bool
) -> None:
    """Batches before it are committed and cached; what it did counts or not, never half."""
    small.start_all()
    small.turn(12)
    before = partitions_of(small)
    assert any(part._batch.instances._cache for part in before)
    injected = log.inject("commit", OutcomeUnknown("?"), after=after, who=small.workers["w-0"]._id)
    small.settle(lambda: injected.hits == 1)
    assert not set(map(id, before)) & set(map(id, partitions_of(small)))
    finish(small)


@pytest.mark.parametrize("aborts", [True, False], ids=["aborted", "nothing to abort"])
def test_a_missing_permission_stops_the_worker_at_once(
    small: World, log: MemoryLog, aborts: bool
) -> None:
    """It would go on for ever: what may not begin cannot be aborted either."""
    small.start_all()
    small.turn(12)
    commands = small.commands()
    who = small.workers["w-0"]._id
    log.inject("send_offsets", NotAllowed("Write on it is missing"), after=False, who=who)
    if not aborts:
        log.inject("abort", OutcomeUnknown("it never began"), after=False, who=who)

    with pytest.raises(Stopped, match="Write on it is missing"):
        small.settle(lambda: False)

    assert small.commands() == commands
    small.crash("w-0")
    small.start(INSTANCES, "w-0")
    finish(small)
