"""What the audit tells of an instance, whatever its state holds."""

from typing import Any

import msgspec

from pmstream.core.instance import Instance, Status
from pmstream.core.orders import Order, Verb
from pmstream.runtime.log import Record
from pmstream.runtime.orders import (
    MAX_STATE_BYTES,
    OrderOutcome,
    Snapshot,
    outcome_record,
    read_outcome,
    snapshot,
)


def told(state: Any) -> Snapshot:
    """A state's way through the audit."""
    instance = Instance(status=Status.RUNNING, state=msgspec.msgpack.encode(state))
    order = Order(id="1", verb=Verb.STOP, process_uuid="a")
    outcome = OrderOutcome(
        order=order, accepted=True, offset=7, time=1, owner="w", before=snapshot(instance)
    )
    out = outcome_record("orders", outcome, 3)
    record = Record("orders", 3, 8, 0, out.key, out.value, out.headers)
    found = read_outcome(record)
    assert found is not None
    assert found.before is not None
    return found.before


def test_a_state_is_told_field_by_field() -> None:
    assert told({"count": 3, "names": ["x"]}).state == {"count": 3, "names": ["x"]}


def test_a_state_that_is_too_large_is_left_out() -> None:
    found = told({"text": "x" * MAX_STATE_BYTES})

    assert found.state is None
    assert found.state_bytes > MAX_STATE_BYTES


def test_a_state_that_json_cannot_hold_is_left_out() -> None:
    found = told({"odd": msgspec.msgpack.Ext(7, b"x")})

    assert (found.state, found.condition) == (None, "idle")
