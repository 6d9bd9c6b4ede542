"""I1: a store equals the fold of what is committed up to its checkpoint; no due hint is missing."""

from pmstream.core.instance import (
    has_due,
    load_instance,
)
from pmstream.core.lifecycle import (
    coming,
)
from pmstream.runtime.changelog import load_checkpoint
from pmstream.runtime.restores import Owned
from pmstream.runtime.store import INSTANCE, Store, due_key
from tests.simulation.archive import Archive, demand
from tests.simulation.process import Process


def check_store(process: Process, owned: Owned, archive: Archive, *, often: bool) -> str:
    """Looks at a store; unless `often`, only after its checkpoint has moved. Tells what it saw."""
    store, number = owned.store, owned.number
    assert store is not None
    raw = store.checkpoint()
    if process.checked.get(number, b"") == raw and not often:
        return "store unchanged"
    process.checked[number] = raw
    checkpoint = load_checkpoint(raw)
    if owned.running is not None:
        demand(owned.running.checkpoint == checkpoint, f"{process.label}: checkpoint of {number}")
    if not checkpoint.whole:
        return "store in mid-transaction"
    expected = archive.folded(number, checkpoint.next)
    found = content(store)
    demand(
        found == expected,
        lambda: (
            f"I1: store {number} of {process.label} at {checkpoint} differs in "
            f"{sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))}"
        ),
    )
    for key, value in found.items():
        awaited = coming(load_instance(value)) if key[:1] == INSTANCE and has_due(value) else []
        for each in awaited:
            hint = due_key(key[1:].decode(), each)
            demand(store.get(hint) is not None, f"store {number} lacks the due hint {hint!r}")
    return "store checked"


def check_running(process: Process, owned: Owned) -> None:
    """I2: restored only when state and position are of the same transaction."""
    part = owned.running
    if part is not None:
        checkpoint, last = part.checkpoint, part.checkpoint.last
        what = f"I2: {process.label} runs {owned.number} at {part.position} on {checkpoint}"
        demand(checkpoint.whole and (last is None or part.position == last.source), what)


def content(store: Store) -> dict[bytes, bytes]:
    """Instances and backlog: what the changelog speaks of."""
    return dict(store.scan(b"i", b"j")) | dict(store.scan(b"q", b"r"))
