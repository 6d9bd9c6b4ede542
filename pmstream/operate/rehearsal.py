"""What an order would do, told before it is given.

Rule: the core itself is asked, on the instance as the changelog tells it; until the owner obeys,
events may still change that.
"""

from datetime import UTC, datetime

from msgspec import Struct

from pmstream.core.instance import Instance
from pmstream.core.obeying import Ordered, Refused, obey
from pmstream.core.orders import Order, Verb
from pmstream.core.process import Callbacks, ProcessManager, bind


class Rehearsed(Struct, frozen=True):
    """What would become of an order: what it does, or why it is refused."""

    would: str
    refused: str = ""


class _Nothing(Struct, frozen=True):
    """A state whose fields nobody knows."""


class _Unknown(ProcessManager[_Nothing]):
    """Stands for a process manager whose code is not at hand."""

    name = "unknown"
    state = _Nothing


def rehearse(
    order: Order, instance: Instance | None, callbacks: Callbacks | None, max_state_bytes: int
) -> Rehearsed:
    """Tells what an order would do to an instance, and changes nothing.

    Args:
        order: what is ordered.
        instance: as it is; None: there is none.
        callbacks: of the process manager; None: its code is not at hand, so an edit is not judged.
        max_state_bytes: the largest state.
    """
    if callbacks is None and order.verb is Verb.EDIT and instance is not None:
        return Rehearsed(f"{_would(order, instance)}; its owner checks the fields")
    known = callbacks or bind(_Unknown())
    try:
        obey(Ordered(order, known, order.time, max_state_bytes), instance)
    except Refused as error:
        return Rehearsed("be refused", str(error))
    assert instance is not None, "an order to nobody that is obeyed"
    return Rehearsed(_would(order, instance))


def _would(order: Order, instance: Instance) -> str:
    work, behind, name = instance.work, instance.backlog.size, order.arguments.get("name")
    what = work.input.cause if work is not None else "nothing"
    if work is not None and work.pending and order.verb in (Verb.SKIP, Verb.RETRY, Verb.RELEASE):
        what = f"command {work.pending[0].id}"
    follow = f"; {behind} behind it follow" if behind else ""
    match order.verb:
        case Verb.RETRY:
            return f"try {what} now; attempts and context go on"
        case Verb.RELEASE:
            return f"try {what} now, as if for the first time{follow}"
        case Verb.SKIP:
            return f"drop {what}{follow}"
        case Verb.PARK:
            return f"let {what} wait for an operator"
        case Verb.EDIT:
            return f"set {', '.join(str(each) for each in order.arguments['set'])}"
        case Verb.STOP:
            ends = ["its state", *([what] if work is not None else [])]
            ends += [f"timer {each}" for each in sorted(instance.timers.pending)]
            meets = f"; {behind} behind it meet no instance" if behind else ""
            return f"end it: {', '.join(ends)}{meets}"
        case Verb.FIRE:
            due = datetime.fromtimestamp(instance.timers.pending[str(name)].due / 1000, UTC)
            return f"let timer {name} come due now, not at {due.isoformat()}"
        case _:
            return f"forget timer {name}"
