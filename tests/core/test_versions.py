"""A state of an older version goes through the upcasters; one of a newer version is left alone."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from pmstream.core import failure
from pmstream.core.definition import check
from pmstream.core.engine import Outcome
from pmstream.core.process import ProcessManager
from pmstream.errors import StateInvalid, StateNewer
from tests.core.kit import Happened, Scripted, Seen, answers
from tests.core.shell import Shell


class Old(Struct, frozen=True):
    """The first version counted only."""

    name: str = "first"
    times: int = 2


def name_many(fields: dict[str, Any]) -> dict[str, Any]:
    return {"name": fields["name"], "count": fields["times"]}


def list_them(fields: dict[str, Any]) -> dict[str, Any]:
    return {"names": [fields["name"]] * fields["count"]}


def stored(state: Struct, version: int, **options: Any) -> Shell:
    """An instance that other code has stored."""
    shell = Shell(Scripted(answers(failure.Park()), **options))
    shell.arrive(Happened("first"))
    assert shell.instance is not None
    packed = msgspec.msgpack.encode(state)
    other = msgspec.structs.replace(shell.instance, state=packed, state_version=version)
    shell.record = bytes((1, 0)) + msgspec.msgpack.encode(other)
    return shell


def test_an_older_state_goes_through_every_upcaster_when_it_is_read() -> None:
    shell = stored(Old(), 1, state_version=3, upcasters={1: name_many, 2: list_them})

    assert shell.arrive(Happened("next")).outcome is Outcome.HANDLED

    assert shell.state == Seen(("first", "first", "next"))
    assert shell.instance is not None
    assert shell.instance.state_version == 3


def test_a_version_without_an_upcaster_keeps_its_fields() -> None:
    shell = stored(Seen(("first",)), 1, state_version=2)

    shell.arrive(Happened("next"))

    assert shell.state == Seen(("first", "next"))


def test_an_upcaster_that_fails_fails_the_event_and_leaves_the_state() -> None:
    shell = stored(Old(), 1, state_version=2, upcasters={1: lambda fields: fields["no"]})
    before = shell.instance

    assert shell.arrive(Happened("next")).outcome is Outcome.PARKED

    assert isinstance(shell.manager.failures[0][0], StateInvalid)
    assert shell.instance is not None
    assert before is not None
    assert (shell.instance.state, shell.instance.state_version) == (before.state, 1)


def test_a_newer_state_is_refused_before_anything_is_done() -> None:
    shell = stored(Seen(("first",)), 2)
    before = shell.record

    with pytest.raises(StateNewer, match="state_version 2; this code knows 1"):
        shell.arrive(Happened("next"))

    assert shell.record == before
    assert not shell.manager.failures


class ArrayLike(Struct, frozen=True, array_like=True):
    n: int = 0


class Arrayed(ProcessManager[ArrayLike]):
    name = "arrayed"
    state = ArrayLike
    state_version = 2

    def interested(self, event: Any) -> None:
        return None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"upcasters": {1: dict}}, "upcasters: 1 is not below state_version 1"),
        ({"upcasters": {"1": dict}, "state_version": 2}, "'1' is no state_version"),
        ({"upcasters": {1: 7}, "state_version": 2}, "upcasters: 1 has no function"),
        ({"upcasters": [dict]}, "it maps a state_version to a function"),
        ({"dispatch": "maybe"}, "dispatch is 'maybe'; it is 'send' or 'confirm'"),
        ({"consistency": "weak"}, "consistency is 'weak'"),
        ({"confirm_timeout": 0}, "confirm_timeout is 0; give it some time"),
        ({"event_timeout": -1}, "event_timeout is -1"),
        ({"idle_timeout": "soon"}, "idle_timeout is str, neither a timedelta nor seconds"),
        ({"completed_for": None}, "completed_for is NoneType"),
        ({"timers_limit": 0}, "timers_limit is 0; it is a whole number of at least 1"),
    ],
)
def test_an_option_that_makes_no_sense_is_told(options: dict[str, Any], words: str) -> None:
    assert any(words in fault for fault in check(Scripted(**options)))


def test_upcasters_need_fields_with_names() -> None:
    assert any("array_like" in fault for fault in check(Arrayed(upcasters={1: dict})))
