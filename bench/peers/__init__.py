"""Who is measured, and what each of them needs.

A peer is a process (or two) that does the job of `bench.job`; it gets one JSON object: servers,
source, commands, group, state_dir, stats, interval_ms, batch. It ends at SIGTERM and then has
written {"commit": {"n", "p50_ms", "p99_ms", "max_ms"}} to `stats`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from bench.job import state_end
from bench.stage import quantile
from pmstream.core.instance import load_instance

Told = Mapping[str, Any]
"""What a peer is told."""

StateOf = Callable[[bytes, bytes], tuple[str, bytes] | None]
"""From a changelog record to process UUID and state; None: no state."""


class Process(Struct, frozen=True):
    """One process of a peer: its role, and the command line for what it is told."""

    role: str
    command: Callable[[Told], Sequence[str]]


class Peer(Struct, frozen=True, kw_only=True):
    """One contestant.

    Attributes:
        name: for people and in ratios.
        what: one line for people.
        processes: those it consists of, downstream first.
        state_of: reads its changelog.
        told: more that it is told.
        json: whether it reads events in JSON, not Avro.
        events: how many it needs to get warm, as a multiple.
        keyed: of pmstream, whether it is in direct mode; None is another one.
        changelog: whether its changelog is made for it.
        sampled: share of its events whose `traceparent` asks for spans; None: they have none.
        aside: it runs only when it is asked for.
    """

    name: str
    what: str
    processes: tuple[Process, ...]
    state_of: StateOf
    told: Told = {}
    json: bool = False
    events: int = 1
    keyed: bool | None = None
    changelog: bool = False
    sampled: float | None = None
    aside: bool = False


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Count, p50, p99 and maximum, in milliseconds."""
    shares = {"p50_ms": 0.5, "p99_ms": 0.99, "max_ms": 1.0} if seconds else {}
    found = {name: round(quantile(seconds, share) * 1000, 2) for name, share in shares.items()}
    return {"n": len(seconds), **found}


def of_pmstream(key: bytes, value: bytes) -> tuple[str, bytes] | None:
    """A changelog record of pmstream."""
    return (key[1:].decode(), load_instance(value).state) if key[:1] == b"i" else None


def of_plain(key: bytes, value: bytes) -> tuple[str, bytes] | None:
    """A changelog record whose key is the process UUID, quoted or not, and what follows a bar."""
    return None if key[:1] == b"\0" else (key.split(b"|", 1)[0].decode().strip('"'), value)


def end_of(peer: Peer, records: Mapping[bytes, bytes]) -> dict[str, tuple[int, int, str]]:
    """The states at the end of a peer's changelog."""
    found = (peer.state_of(key, value) for key, value in records.items())
    return {each[0]: state_end(each[1]) for each in found if each is not None}
