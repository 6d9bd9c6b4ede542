"""Direct mode's reader hands the decoded event on, unless interested() could have changed it."""

from typing import Any, ClassVar

import pytest
from msgspec import Struct

from pmstream import App, ProcessManager, Topic, routing
from pmstream.app import Names
from pmstream.core import process
from pmstream.core.engine import Arrived
from pmstream.runtime.codec import Codec
from pmstream.runtime.direct import DirectReader
from pmstream.runtime.intake import Intake, Rules
from pmstream.runtime.log import Record


class Fixed(Struct, frozen=True):
    """Nobody changes it."""

    __schema__: ClassVar[str] = "test.Fixed"
    id: str
    n: int


class Loose(Struct):
    """Whoever has it may change it."""

    __schema__: ClassVar[str] = "test.Loose"
    id: str
    n: int


class Nothing(Struct, frozen=True):
    """No state."""


class Changing(ProcessManager[Nothing]):
    """Changes what it is only asked about."""

    name, state = "changing", Nothing

    def interested(self, event: Any) -> routing.Answer:
        if isinstance(event, Loose):
            event.n += 1
        return routing.Start(event.id)


class Run:
    """A partition in which everything could be decoded so far."""

    run = 0


@pytest.mark.parametrize(("type_", "event"), [(Fixed, Fixed("a", 7)), (Loose, None)])
def test_what_could_be_changed_is_decoded_anew(type_: type[Struct], event: object) -> None:
    app = App(
        name="app",
        schemas="none",
        events={"source": Topic([type_], format="json", type_field="type")},
        commands={},
        process_managers=[Changing(keyed="source")],
    )
    rules = Rules(
        names=Names("app", "changing"),
        callbacks=process.bind(app.manager("changing")),
        guard=None,
        codec=Codec(app),
        undecodable="stop",
        unknown_schema="undecodable",
    )
    value = rules.codec.encode_event("source", type_("a", 7))
    record = Record("source", 0, 3, 0, b"a", value, ())

    found = DirectReader(Intake(rules), 1).read(record, 0, Run(), 0)

    assert isinstance(found, Arrived)
    assert found.event == event
    assert rules.codec.decode_event(found.routed) == type_("a", 7)
