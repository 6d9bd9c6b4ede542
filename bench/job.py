"""The one job that every peer does: event, state update, one command, changelog, exactly once.

Events, commands and the expected end are functions of (events, keys, skew): what a peer wrote can
be recomputed and compared. Both serializations hold the same fields; the Avro bytes are those that
pmstream reads and writes.
"""

import hashlib
import os
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from msgspec import Struct

STATE_BYTES = int(os.environ.get("BENCH_STATE_BYTES", "200"))
"""Roughly what a state takes as JSON."""

_EVENT_PAD, _COMMAND_PAD = "x" * 100, "y" * 4
STATE_PAD = "z" * max(STATE_BYTES - 100, 0)
_SEED = 7
_GOLDEN = 0x9E3779B97F4A7C15F39CC0605CEDC835  # spreads the keys' UUIDs over all values


class OrderPlaced(Struct, frozen=True):
    """An event of 208 bytes in Avro, 280 in JSON."""

    __schema__: ClassVar[str] = "bench.OrderPlaced"
    event_id: str
    process: str
    seq: int
    kind: str
    amount: int
    occurred_at: int
    pad: str = _EVENT_PAD


class ShipOrder(Struct, frozen=True):
    """The command for an event, of 110 bytes in Avro, 193 in JSON."""

    __schema__: ClassVar[str] = "bench.ShipOrder"
    command_id: str
    process: str
    seq: int
    kind: str
    count: int
    total: int
    occurred_at: int
    pad: str = _COMMAND_PAD


class Order(Struct, frozen=True):
    """Where one process stands."""

    count: int = 0
    total: int = 0
    status: str = "new"
    last_event: str = ""
    pad: str = STATE_PAD


def make_event(seq: int, process: str, at: int) -> OrderPlaced:
    """The event of that number; `at` is its time, in microseconds."""
    return OrderPlaced(_event_id(seq), process, seq, "OrderPlaced", _amount(seq), at)


def advance(state: Order, event: OrderPlaced) -> Order:
    """What an event makes of the state: the reference that each peer repeats in its own words."""
    count = state.count + 1
    status = "open" if count % 10 else "settled"
    return Order(count, state.total + event.amount, status, event.event_id)


def command_of(state: Order, event: OrderPlaced) -> ShipOrder:
    """The command for an event that met this state."""
    return ShipOrder(
        event.event_id,
        event.process,
        event.seq,
        "ShipOrder",
        state.count + 1,
        state.total + event.amount,
        event.occurred_at,
    )


def _event_id(seq: int) -> str:
    return f"00000000-0000-4000-8000-{seq:012x}"


def _amount(seq: int) -> int:
    return seq % 100


def process_name(key: int) -> str:
    """The process UUID of a key's number."""
    return str(UUID(int=(key + 1) * _GOLDEN % (1 << 128)))


def key_sequence(events: int, keys: int, skew: float = 0.0) -> Sequence[int]:
    """The key of each event; as many keys as events: each once. `skew` is Zipf's exponent."""
    if keys >= events:
        return range(events)
    chance = random.Random(_SEED)
    if not skew:
        return chance.choices(range(keys), k=events)
    weights = list(accumulate(1 / (rank + 1) ** skew for rank in range(keys)))
    return chance.choices(range(keys), cum_weights=weights, k=events)


# What came out

End = Mapping[str, tuple[int, int, str]]
"""Process UUID to (count, total, last event) of its state at the end."""


def expected_end(events: int, keys: int, skew: float = 0.0) -> End:
    """The states after all events."""
    found: dict[int, tuple[int, int, int]] = {}
    for seq, key in enumerate(key_sequence(events, keys, skew)):
        count, total, _ = found.get(key, (0, 0, 0))
        found[key] = (count + 1, total + _amount(seq), seq)
    return {process_name(key): (n, sum_, _event_id(seq)) for key, (n, sum_, seq) in found.items()}


def checksum(end: End) -> str:
    """A short digest of the states."""
    digest = hashlib.sha256()
    for process in sorted(end):
        digest.update(f"{process} {end[process]}\n".encode())
    return digest.hexdigest()[:16]


def state_end(packed: bytes) -> tuple[int, int, str]:
    """What counts of a state in JSON or as a msgpack map."""
    decode = msgspec.json.decode if packed[:1] == b"{" else msgspec.msgpack.decode
    fields: Mapping[str, Any] = decode(packed)
    return fields["count"], fields["total"], fields["last_event"]


def faults_of(events: int, commands: Iterable[tuple[bytes | None, ShipOrder]]) -> Iterator[str]:
    """What is wrong with commands in the order of their partitions: lost, doubled, misordered.

    Args:
        events: how many were produced.
        commands: each with its record's key.
    """
    seen, running, found = bytearray(events), dict[str, tuple[int, int]](), 0
    for key, command in commands:
        found += 1
        if key != command.process.encode():
            yield f"command {command.seq} has key {key!r}"
        if not 0 <= command.seq < events:
            yield f"command {command.seq} is for no event"
            continue
        if seen[command.seq]:
            yield f"command {command.seq} came twice"
        seen[command.seq] = 1
        count, total = running.get(command.process, (0, 0))
        count, total = count + 1, total + _amount(command.seq)
        if (command.count, command.total) != (count, total):
            yield f"command {command.seq} of {command.process} has counted {command.count}"
        running[command.process] = (count, total)
    if found != events:
        yield f"{found} commands for {events} events"
