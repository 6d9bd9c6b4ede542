"""The tables of the book that stand in the code, too."""

from collections.abc import Iterator

from pmstream.core import failure
from pmstream.core.failure import LEGAL, Kind
from pmstream.core.instance import Status
from pmstream.core.lifecycle import LIFECYCLE
from pmstream.core.routing import HOLDABLE, ROUTES, Action, Route
from pmstream.metrics import METRICS, PARTITION, WORKER
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.runtime.spans import MEANINGS, Attribute
from tests.book.markdown import table

_ANSWERS = {
    Route.START: "Start(id)",
    Route.START_NEW: "StartNew(id)",
    Route.CONTINUE: "Continue(id)",
    Route.CONTINUE_EXISTING: "ContinueExisting(id)",
    Route.STOP: "Stop(id)",
}
_ACTIONS = {
    Action.CREATE: "create, handle",
    Action.HANDLE: "handle",
    Action.DELETE: "delete state and timers",
    Action.NOTHING: "nothing",
    Action.LATE: "ignore, count as late",
}
_COLUMNS = {
    Status.ABSENT: "no instance",
    Status.RUNNING: "instance exists",
    Status.COMPLETED: "completed (`completed_for`)",
}
_FAILURES = [
    failure.Retry,
    failure.Skip,
    failure.SkipContinuePending,
    failure.SkipDiscardPending,
    failure.ContinueWith,
    failure.Park,
    failure.Stop,
]


def routes() -> Iterator[str]:
    """What each answer of `interested` does."""
    rows = []
    for route in Route:
        cells = [f"`{_ANSWERS[route]}`"]
        for status in _COLUMNS:
            action, error = ROUTES[route, status]
            text = f"fail `{error.__name__}`" if error is not None else _ACTIONS[action]
            held = status is Status.ABSENT and route in HOLDABLE
            cells.append(f"{text}; with `hold=` wait so long first" if held else text)
        rows.append(cells)
    return table(["`interested` answers", *_COLUMNS.values()], rows)


def legal() -> Iterator[str]:
    """What `error` may answer."""
    rows = [
        [f"`{answer.__name__}`", *("yes" if answer in LEGAL[kind] else "no" for kind in Kind)]
        for answer in _FAILURES
    ]
    return table(["`error` answers", *(str(kind) for kind in Kind)], rows)


def lifecycle() -> Iterator[str]:
    """Where an instance may go."""
    rows = [
        [str(before), str(after), why]
        for before, ways in LIFECYCLE.items()
        for after, why in ways.items()
    ]
    return table(["from", "to", "when"], rows)


def metrics() -> Iterator[str]:
    """What /metrics tells."""
    rows = [
        [f"`{each.full_name}`", str(each.kind), _labels(each.labels), each.help] for each in METRICS
    ]
    return table(["metric", "kind", "labels", "meaning"], rows)


def _labels(labels: tuple[str, ...]) -> str:
    """Those of every worker, or partition, by one word."""
    for name, all_of_them in (("*partition*", PARTITION), ("*worker*", WORKER)):
        if labels[: len(all_of_them)] == all_of_them:
            return ", ".join([name, *(f"`{each}`" for each in labels[len(all_of_them) :])])
    return ", ".join(f"`{each}`" for each in labels)


def attributes() -> Iterator[str]:
    """What a span tells."""
    rows = [[f"`{each}`", MEANINGS[each]] for each in Attribute]
    return table(["attribute", "meaning"], rows)


def permissions() -> Iterator[str]:
    """What a worker may do with each kind of topic."""
    rows = [
        [str(role), ", ".join(each.title().replace("_", "") for each in sorted(operations))]
        for role, operations in NEEDED.items()
    ]
    return table(["topic", "operations"], rows)
