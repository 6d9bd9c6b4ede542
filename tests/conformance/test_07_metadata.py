"""7. Metadata: what callbacks and services are told beside the message."""

from typing import Any

from pmstream import failure, routing
from pmstream.runtime.log import Headers
from pmstream.testing import Running
from tests.conformance.kit import Do, Oops, Opened, Play, Scripted, both


def headers_of(run: Running) -> dict[str, str]:
    """Headers of the only command."""
    [(_, _, record)] = run._services.sent
    return {name: (value or b"").decode() for name, value in record.headers}


def told(play: Play, headers: Headers = ()) -> Any:
    """The metadata that `handle` hears."""
    heard: list[Any] = []

    def handle(_state: Any, _event: Any, metadata: Any) -> None:
        heard.append(metadata)

    run = play(Scripted(handle=handle))
    run.produce(Opened("a", 1), headers=headers)
    run.settle()
    return heard[0]


def test_handle_hears_the_process_and_the_place_of_the_event(play: Play) -> None:
    metadata = told(play)
    place = (metadata.topic, metadata.partition, metadata.offset)
    assert place == ("conformance.orders", 0, 0)
    assert (metadata.process_uuid, metadata.process_manager) == ("a", "pm")
    assert (metadata.attempt, metadata.replayed) == (1, False)


def test_the_event_id_is_the_producers_if_it_gave_one(play: Play) -> None:
    assert told(play, (("event-id", b"e-1"),)).event_id == "e-1"


def test_the_event_id_is_its_place_if_not(play: Play) -> None:
    assert told(play).event_id == "conformance.orders-0-0"


def test_correlation_and_causation_are_the_producers(play: Play) -> None:
    metadata = told(play, (("correlation-id", b"c-1"), ("causation-id", b"x")))
    assert (metadata.correlation_id, metadata.causation_id) == ("c-1", "x")


def test_without_a_correlation_the_event_begins_one(play: Play) -> None:
    metadata = told(play, (("event-id", b"e-1"),))
    assert (metadata.correlation_id, metadata.causation_id) == ("e-1", None)


def test_the_events_own_headers_are_told_and_cannot_be_changed(play: Play) -> None:
    metadata = told(play, (("user", b"u-7"),))
    assert metadata.headers["user"] == b"u-7"
    assert not hasattr(metadata.headers, "update")


def test_interested_hears_metadata_without_a_process(play: Play) -> None:
    heard: list[Any] = []

    def route(event: Any, metadata: Any) -> Any:
        heard.append(metadata.process_uuid)
        return routing.Start(event.id)

    run = play(Scripted(route=route))
    run.produce(Opened("a", 1))
    run.settle()
    assert heard == [""]


def test_the_attempt_counts_up(play: Play) -> None:
    attempts: list[int] = []

    def handle(_state: Any, _event: Any, metadata: Any) -> None:
        attempts.append(metadata.attempt)
        if metadata.attempt < 3:
            raise Oops

    run = play(Scripted(handle=handle, error=failure.Retry()))
    run.produce(Opened("a", 1))
    run.settle()
    assert attempts == [1, 2, 3]


@both
def test_a_command_says_who_sent_it_and_why(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), headers=(("event-id", b"e-1"), ("correlation-id", b"c-1")))
    run.settle()
    headers = headers_of(run)
    assert headers["correlation-id"] == "c-1", "inherited"
    assert headers["causation-id"] == "e-1", "the event"
    assert (headers["process-uuid"], headers["process-manager"]) == ("a", "pm")


def test_the_id_of_a_command_follows_from_its_cause(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1))
    run.settle()
    assert headers_of(run)["command-id"] == "a/conformance.orders-0-0/0"


def test_a_command_inherits_the_events_own_headers_but_none_of_ours(play: Play) -> None:
    run = play(Scripted())
    run.produce(Opened("a", 1), headers=(("user", b"u-7"), ("pm-owner", b"forged")))
    run.settle()
    headers = headers_of(run)
    assert headers["user"] == "u-7"
    assert not [name for name in headers if name.startswith("pm-")]


def test_a_command_is_keyed_by_its_key_field(play: Play) -> None:
    run = play(Scripted(handle=lambda: Do("somebody", 1)))
    run.produce(Opened("a", 1))
    run.settle()
    [(_, _, record)] = run._services.sent
    assert record.key == b"somebody"


def test_a_confirmed_command_says_where_to_reply(play: Play) -> None:
    run = play(Scripted(dispatch="confirm"))
    run.produce(Opened("a", 1))
    run.settle()
    headers = headers_of(run)
    assert headers["reply-to"] == "conformance.pm.replies"
    assert headers["reply-partition"].isdigit()
