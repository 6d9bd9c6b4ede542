"""6. Life of an app: where it starts, restarts, positions, tenants, several process managers."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pmstream import ProcessManager
from pmstream.config import Settings
from pmstream.core.starting import StartFrom
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate import bounds, starts, topics
from pmstream.operate.wait import Verdict, handled
from pmstream.runtime.clock import SystemClock, VirtualClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import Log
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.roles import ROLES, make_worker
from tests.conformance.kit import Changed, Do, Memo, Opened, Play, Scripted, app_of, both


def begin(log: Log, *managers: ProcessManager[Any], name: str = "conformance") -> None:
    """What `topics ensure` does once more, with other options."""
    app = app_of(*managers, name=name)
    starts.set_starts(app, log, starts.find_starts(app, log))


def started(tmp_path: Path, start_from: StartFrom) -> list[int]:
    """Numbers of the events handled, of three that were there before and one that comes after."""
    clock = VirtualClock()
    log, manager = MemoryLog(clock), Scripted(start_from=start_from)
    app, settings = app_of(manager), Settings(state_dir=tmp_path, inbox_partitions=1)
    codec, writer = Codec(app), log.writer()

    def write(number: int) -> None:
        event = Opened("a", number)
        headers = codec.event_headers("conformance.orders", Opened)
        value = codec.encode_event("conformance.orders", event)
        writer.produce("conformance.orders", value, None, headers, 0)
        writer.flush(1)

    topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
    for number in range(3):
        write(number)
        clock.advance(60)
    starts.set_starts(app, log, starts.find_starts(app, log))
    write(3)
    workers = [make_worker(app, "pm", role, role, log, settings, clock) for role in ROLES]
    for _ in range(60):
        for each in workers:
            each.turn()
    for each in workers:
        each.close()
    reader = log.reader()
    reader.assign(dict.fromkeys(bounds.bounds(log, log.topics()["conformance.commands"]), 0))
    found = [
        codec.decode(record.topic, record.value or b"", record.headers).n
        for record in reader.read(100, 0)
    ]
    reader.close()
    return found


def test_it_starts_from_the_origin(tmp_path: Path) -> None:
    assert started(tmp_path, "origin") == [0, 1, 2, 3]


def test_it_starts_from_the_current_end(tmp_path: Path) -> None:
    assert started(tmp_path, "current") == [3]


def test_it_starts_from_an_offset(tmp_path: Path) -> None:
    assert started(tmp_path, {"conformance.orders": {0: 2}}) == [2, 3]


def test_it_starts_from_a_time(tmp_path: Path) -> None:
    when = datetime.fromtimestamp(1_700_000_000, UTC) + timedelta(seconds=30)
    assert started(tmp_path, when) == [1, 2, 3]


def test_where_it_started_is_asked_once_only(play: Play) -> None:
    run = play(Scripted(start_from="origin"))
    run.produce(Opened("a", 1))
    run.settle()
    begin(run.log, Scripted(start_from="current"))
    run.restart()
    run.produce(Opened("a", 2))
    run.settle()
    assert [each.n for each in run.commands()] == [1, 2]


@both
def test_it_resumes_after_a_restart_with_its_state(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    run.restart()
    run.produce(Opened("a", 2))
    run.settle()
    assert run.commands() == [Do("a", 1), Do("a", 2)]
    assert run.state("pm", "a") == Memo(2, 2)


@both
def test_events_that_came_while_it_was_down_are_handled_when_it_is_back(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    run._end("pm", kill=False)
    run.produce(Opened("a", 2), Opened("b", 3))
    run._start("pm")
    run.settle()
    assert sorted(each.n for each in run.commands()) == [1, 2, 3]


def test_what_was_handled_is_not_handled_again_when_positions_move_back(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), Opened("b", 2))
    run.settle()
    run.read_again()
    run.settle()
    assert len(run.commands()) == 2


@both
def test_two_process_managers_handle_the_same_events_apart(play: Play) -> None:
    def handle(_state: Any, event: Any, metadata: Any) -> Do:
        return Do(f"other {metadata.process_uuid}", event.n)

    other = Scripted(handle=handle)
    other.name = "other"  # type: ignore[misc]
    run = play(Scripted(), other)
    run.produce(Opened("a", 1))
    run.settle()
    assert sorted(each.id for each in run.commands()) == ["a", "other a"]


def test_one_that_stops_does_not_stop_the_other(play: Play) -> None:
    def bad() -> None:
        raise ZeroDivisionError

    other = Scripted(handle=bad)
    other.name = "other"  # type: ignore[misc]
    run = play(Scripted(), other)
    run.produce(Opened("a", 1))
    with pytest.raises(Stopped, match="process manager other stops"):
        run.settle()
    run.settle()
    assert run.commands() == [Do("a", 1)]


def test_the_same_process_manager_runs_for_two_tenants_in_one_cluster(tmp_path: Path) -> None:
    clock, settings = VirtualClock(), Settings(state_dir=tmp_path, inbox_partitions=1)
    log = MemoryLog(clock)
    workers = []
    for tenant in ("acme", "umbrella"):
        app = app_of(Scripted(), name=tenant)
        topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
        begin(log, Scripted(), name=tenant)
        workers += [make_worker(app, "pm", role, role, log, settings, clock) for role in ROLES]
    codec, writer = Codec(app_of(Scripted(), name="acme")), log.writer()
    headers = codec.event_headers("acme.orders", Opened)
    writer.produce("acme.orders", codec.encode_event("acme.orders", Opened("a")), None, headers)
    writer.flush(1)
    for _ in range(40):
        for each in workers:
            each.turn()
    for each in workers:
        each.close()

    known = log.topics()
    written = [bounds.records(log, known[f"{tenant}.commands"]) for tenant in ("acme", "umbrella")]
    assert written[0] > written[1] == 0


def test_a_topic_without_a_start_is_refused_with_the_remedy(play: Play) -> None:
    run = play(Scripted())
    run._end("pm", kill=False)
    run.log.forget_positions("conformance.pm.router")
    run._start("pm")
    with pytest.raises(Stopped, match="topics ensure"):
        run.settle()


def test_two_process_managers_of_one_name_are_a_fault_of_the_app() -> None:
    with pytest.raises(ConfigurationError, match="two process managers are named 'pm'"):
        app_of(Scripted(), Scripted())


def test_an_unknown_option_is_told_with_those_there_are() -> None:
    with pytest.raises(TypeError, match=r"has no option conistency; options are .*consistency"):
        Scripted(conistency="strong")


@both
def test_a_strong_one_can_be_waited_for(play: Play) -> None:
    run = play(Scripted(consistency="strong"))
    run.produce(Opened("a", 1))
    run.settle()
    app = run._app
    clock = SystemClock() if play.tier != "memory" else VirtualClock()
    [found] = handled(run.log, app, f"{app.name}.orders-0-0", timeout=10, clock=clock)
    assert found.verdict is Verdict.HANDLED


def test_an_eventual_one_is_not_waited_for(play: Play) -> None:
    run = play(Scripted())
    with pytest.raises(ConfigurationError, match="strong"):
        handled(run.log, run._app, "conformance.orders-0-0", timeout=0)


def test_what_is_not_handled_yet_is_told(play: Play) -> None:
    run = play(Scripted(consistency="strong"))
    run._end("pm", kill=False)
    run.produce(Opened("a", 1), Changed("a", 2))
    [found] = handled(run.log, run._app, "conformance.orders-0-0", timeout=0, clock=VirtualClock())
    assert found.verdict is Verdict.TIMEOUT
