"""ProcessManager: callbacks with and without their last parameter, options, and all faults."""

from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec import Struct

from pmstream.core import failure, routing
from pmstream.core.definition import check
from pmstream.core.failure import FailureContext, Stage
from pmstream.core.messages import Metadata, metadata_of
from pmstream.core.process import AfterCommand, ProcessManager, bind
from tests.core.kit import Do, Happened, Scripted, Seen, routed

EVENT = Happened("it")
METADATA = metadata_of(routed(EVENT), "short")
CONTEXT = FailureContext(
    context={}, state=Seen(), last_event=EVENT, metadata=METADATA, stage=Stage.HANDLE
)


class Short(ProcessManager[Seen]):
    """Leaves out every last parameter."""

    name = "short"
    state = Seen

    def interested(self, event: Happened) -> routing.Answer:
        return routing.Start(event.name)

    def handle(self, state: Seen, event: Happened) -> Do:
        return Do(event.name)

    def apply(self, state: Seen, event: Happened) -> Seen:
        return Seen((*state.names, event.name))

    def error(self, error: Exception, failed: Any) -> failure.Answer:
        return failure.Skip()

    def after_command(self, state: Seen, command: Do) -> AfterCommand | None:
        return AfterCommand.STOP


class Long(ProcessManager[Seen]):
    """Takes every last parameter."""

    name = "long"
    state = Seen

    def interested(self, event: Happened, metadata: Metadata) -> routing.Answer:
        return routing.Start(event.name)

    def handle(self, state: Seen, event: Happened, metadata: Metadata) -> Do:
        return Do(event.name)

    def apply(self, state: Seen, event: Happened, metadata: Metadata) -> Seen:
        return Seen((*state.names, event.name))

    def error(self, error: Exception, failed: Any, context: FailureContext) -> failure.Answer:
        return failure.Skip()

    def after_command(self, state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        return AfterCommand.STOP


class Loose(Short):
    """Takes whatever comes."""

    name = "loose"

    def handle(self, *args: Any) -> Do:
        assert len(args) == 3
        return Do("it")

    def apply(self, state: Seen, event: Happened, metadata: Any = None, more: int = 0) -> Seen:
        assert metadata is METADATA
        return Seen((event.name,))


@pytest.mark.parametrize("manager", [Short(), Long(), Loose()], ids=lambda each: each.name)
def test_a_callback_may_leave_out_its_last_parameter(manager: ProcessManager[Seen]) -> None:
    bound = bind(manager)

    assert list(check(manager)) == []
    assert bound.interested(EVENT, METADATA) == routing.Start("it")
    assert bound.handle(Seen(), EVENT, METADATA) == Do("it")
    assert bound.apply(Seen(), EVENT, METADATA) == Seen(("it",))
    assert bound.error(ValueError(), EVENT, CONTEXT) == failure.Skip()
    assert bound.after_command(Seen(), Do("it"), METADATA) is AfterCommand.STOP
    assert bound.has_after_command


class Least(ProcessManager[Seen]):
    name = "least"
    state = Seen

    def interested(self, event: Happened) -> routing.Answer:
        return None


def test_only_interested_is_needed() -> None:
    bound, error = bind(Least()), ValueError()

    assert list(check(Least())) == []
    assert bound.handle(Seen(), EVENT, METADATA) is None
    assert bound.apply(Seen(("a",)), EVENT, METADATA) == Seen(("a",))
    assert bound.error(error, EVENT, CONTEXT) == failure.Stop(error)
    assert not bound.has_after_command


def test_options_are_class_attributes_or_arguments() -> None:
    manager = Least(name="other", fan_out_limit=3, default_failure=failure.Park())

    bound = bind(manager)
    assert (bound.name, bound.fan_out_limit, bound.max_attempts_per_batch) == ("other", 3, 10)
    assert bound.error(ValueError(), EVENT, CONTEXT) == failure.Park()
    assert Least.name == "least"


def test_unknown_options_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="Least has no option colour, retries; options are backlog"):
        Least(retries=3, colour="red", name="x")


class Mutable(Struct):
    n: int = 0


class Required(Struct, frozen=True):
    a: int
    b: str
    c: int = 0


class WrongDefault(Struct, frozen=True):
    n: int = "0"  # type: ignore[assignment]


class Unstorable(Struct, frozen=True):
    f: object = print


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"name": ""}, "name '' is not 1 to 100 of letters"),
        ({"name": "a b"}, "name 'a b' is not"),
        ({"name": "x" * 101}, "is not 1 to 100 of letters"),
        ({"name": None}, "name None is not"),
        ({"interested": ProcessManager.interested}, "interested() is missing"),
        ({"state": None}, "state must be a frozen msgspec.Struct type"),
        ({"state": dict}, "state must be a frozen msgspec.Struct type"),
        ({"state": Seen()}, "state must be a frozen msgspec.Struct type"),
        ({"state": Mutable}, "state Mutable must be frozen"),
        ({"state": Required}, "state Required: field b needs a default"),
        ({"state": WrongDefault}, "cannot be stored and read back as it begins: Expected `int`"),
        ({"state": Unstorable}, "cannot be stored and read back as it begins"),
        ({"interested": lambda self: None}, "interested() cannot be called with 2 or 1 arguments"),
        ({"handle": lambda self, event: None}, "handle() cannot be called with 3 or 2 arguments"),
        ({"apply": lambda self, a, b, c, d: None}, "apply() cannot be called"),
        ({"error": lambda self, *, error: None}, "error() cannot be called"),
        ({"default_failure": "park"}, "default_failure is 'park'; it is one of the answers"),
        ({"default_failure": failure.Park}, "default_failure is <class"),
        ({"undecodable": "skip"}, "undecodable is 'skip'; it is 'dead-letter' or 'stop'"),
        ({"unknown_schema": "stop"}, "unknown_schema is 'stop'; it is 'undecodable' or 'ignore'"),
        ({"start_from": "end"}, "start_from is 'end'; it is 'origin', 'current', {topic: "),
        ({"start_from": datetime(2026, 1, 31)}, "a datetime without a time zone: say which"),  # noqa: DTZ001
        ({"start_from": {"orders": 5}}, "start_from has 'orders': 5; it is 'origin', "),
        ({"start_from": {3: {0: 5}}}, "start_from has 3: {0: 5}; it is 'origin', "),
        ({"start_from": {"orders": {0: -1}}}, "start_from has partition 0 at offset -1 in orders"),
        ({"start_from": {"orders": {-1: 0}}}, "start_from has partition -1 at offset 0 in orders"),
        ({"start_from": {"orders": {0: True}}}, "start_from has partition 0 at offset True in"),
        ({"fan_out_limit": 0}, "fan_out_limit is 0; it is a whole number of at least 1"),
        ({"backlog_limit": 1.5}, "backlog_limit is 1.5; it is a whole number"),
        ({"max_attempts_per_batch": True}, "max_attempts_per_batch is True; it is a whole number"),
        ({"state_version": "2"}, "state_version is '2'; it is a whole number"),
    ],
)
def test_a_fault_is_found_and_says_where(attributes: dict[str, Any], words: str) -> None:
    manager = type("Faulty", (Least,), attributes)()

    faults = list(check(manager))

    assert any(words in each for each in faults), faults
    name = attributes.get("name", "least") or "Faulty"
    assert all(each.startswith(f"process manager {name}: ") for each in faults)


@pytest.mark.parametrize(
    "start_from",
    ["origin", "current", datetime(2026, 1, 31, tzinfo=UTC), {}, {"orders": {0: 5, 7: 0}}],
)
def test_each_form_of_a_start_is_legal(start_from: Any) -> None:
    assert list(check(Scripted(start_from=start_from))) == []


def test_all_faults_are_found_at_once() -> None:
    manager = Scripted()
    manager.undecodable, manager.fan_out_limit, manager.backlog_limit = "x", 0, -1

    assert len(list(check(manager))) == 3
