"""One batch, one transaction: the commit's steps, in their order.

Rule: all that the batch hangs on has run before it begins; no consumer polls while it is open; the
store is written only after the acknowledgement. Every step is a named crash point for the tests.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from msgspec import Struct

from pmstream.core.messages import Emitted
from pmstream.errors import Stopped
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Committed, Headers, Membership, Producer, TopicPartition
from pmstream.runtime.log_errors import (
    Again,
    Fenced,
    LogError,
    MustAbort,
    NotAllowed,
    OutcomeUnknown,
)
from pmstream.runtime.meanwhile import Meanwhile, idle

STEPS = ("begin", "produce", "flush", "offsets", "commit", "acknowledge", "acknowledged")
"""Crash points: each is told before the step of that name is done; the last one after all."""

Probe = Callable[[str], None]
"""Told the name of each step; the tests crash or fail there."""

_CALL_SECONDS = 2.0
_PAUSE_SECONDS = 0.01


class Out(Struct, frozen=True, gc=False):
    """One record to produce; without `partition` the key decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


Sent = Out | Emitted
"""What a batch makes for others."""


class Slice(Protocol):
    """One partition's share of a batch.

    Attributes:
        source: the partition that was read.
        position: what the group commits for it, with the metadata.
        records: commands, inbox records, dead letters, changelog records, in order.
        sent: how many of them are for others: all but those of the changelog.
        commit_record: the changelog's commit record, produced last; None for a router.
    """

    source: TopicPartition
    position: Committed
    records: Sequence[Sent]
    sent: int
    commit_record: Out | None

    def acknowledged(self, offset: int | None) -> None:
        """The transaction is committed; `offset` is where the commit record stands."""


class Aborted(Exception):
    """The transaction was aborted: nothing of the batch counts, it may be done again."""


def commit(
    slices: Sequence[Slice],
    producer: Producer,
    group: Membership,
    clock: Clock,
    deadline_ms: int,
    probe: Probe,
    meanwhile: Meanwhile = idle,
) -> None:
    """Makes a batch count, wholly or not at all.

    Args:
        slices: what each partition has to say.
        producer: ready, without an open transaction.
        group: the membership read after the last gather; it fences a stale owner.
        clock: for the deadline.
        deadline_ms: how long a call may be repeated while the log answers Again.
        probe: see `Probe`.
        meanwhile: work that nothing of it hangs on.

    Raises:
        Aborted: nothing counts.
        Stopped: nothing counts, and a permission is missing.
        OutcomeUnknown: it may count or not; the producer is of no more use.
    """
    offsets = {each.source: each.position for each in slices}
    written: dict[TopicPartition, int] = {}
    until = clock.monotonic() + deadline_ms / 1000
    try:
        probe("begin")
        producer.begin()
        probe("produce")
        for each in slices:
            _produce(each, producer, written)
        # Before the offsets: then "offset pending" implies "owner readable in the changelog".
        probe("flush")
        _repeat(lambda: producer.flush(_CALL_SECONDS, meanwhile), clock, until)
        probe("offsets")
        send = partial(producer.send_offsets, group, offsets, _CALL_SECONDS, meanwhile)
        _repeat(send, clock, until)
    except (MustAbort, Again) as error:
        _abort(producer, clock, until, error)
        raise Aborted(str(error)) from error
    unanswered: list[Again] = []
    try:
        probe("commit")
        _repeat(lambda: producer.commit(_CALL_SECONDS), clock, until, unanswered)
    except Again as error:
        raise OutcomeUnknown(f"no answer to commit in {deadline_ms} ms: {error}") from error
    except MustAbort as error:
        if unanswered:  # one of the calls before may have been heard: only commit may follow it
            raise OutcomeUnknown(f"commit went unanswered, then was refused: {error}") from error
        _abort(producer, clock, until, error)
        raise Aborted(str(error)) from error
    for each in slices:
        probe("acknowledge")
        each.acknowledged(written.get(each.source))
    probe("acknowledged")


def _produce(each: Slice, producer: Producer, written: dict[TopicPartition, int]) -> None:
    produce = producer.produce
    for out in each.records:
        produce(out.topic, out.value, out.key, out.headers, out.partition)
    last = each.commit_record
    if last is not None:
        source = each.source

        def delivered(offset: int) -> None:
            written[source] = offset

        produce(last.topic, last.value, last.key, (), last.partition, delivered)


def _abort(producer: Producer, clock: Clock, until: float, why: LogError) -> None:
    try:
        _repeat(lambda: producer.abort(_CALL_SECONDS), clock, until)
    except (Again, MustAbort) as error:
        raise OutcomeUnknown(
            f"the transaction could not be aborted: {error}; it was to be, because {why}"
        ) from error
    except OutcomeUnknown as error:
        # What was not allowed to begin cannot end either, and would be tried for ever.
        if not isinstance(why, NotAllowed) or isinstance(error, Fenced):
            raise
    if isinstance(why, NotAllowed):
        raise Stopped(str(why)) from why


def _repeat(
    call: Callable[[], None], clock: Clock, until: float, unanswered: list[Again] | None = None
) -> None:
    """Makes the identical call until the log decides, or `until` has passed.

    Each Again is put into `unanswered`.
    """
    while True:
        try:
            return call()
        except Again as error:
            if unanswered is not None:
                unanswered.append(error)
            if clock.monotonic() > until:
                raise
            clock.sleep(_PAUSE_SECONDS)
