"""A member of a consumer group on Kafka.

Rule: rebalance callbacks run only inside `gather`, and never raise into librdkafka.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import confluent_kafka as ck
from confluent_kafka import KafkaError, KafkaException

from pmstream.runtime.kafka_errors import is_transient, kafka_error, member_fault, reason
from pmstream.runtime.kafka_records import (
    Ends,
    close_member,
    message_partition,
    named,
    names_of,
    parse_metadata,
    translate,
)
from pmstream.runtime.log import Committed, FaultKind, Listener, Membership, Record, TopicPartition
from pmstream.runtime.log_errors import Again, LogError, OffsetPending, Refused

_HELD_LIMIT = 1_000


class KafkaConsumer:
    """`Consumer` on Kafka.

    Args:
        settings: all librdkafka settings of the member.
        who: the member, for messages.
    """

    def __init__(self, settings: Mapping[str, Any], who: str) -> None:
        self._who = who
        self._ends = Ends()
        # LSOs are known to librdkafka only in its statistics; its cached watermark is the end (F1).
        watched = {"statistics.interval.ms": 1_000, "stats_cb": self._ends.learn}
        self._client = ck.Consumer({**settings, **watched})
        self._listener: Listener | None = None
        self._raised: Exception | None = None
        self._sought: dict[TopicPartition, int] = {}  # where each partition was told to stand
        self._adrift: set[TopicPartition] = set()  # at no position of ours, or at none of the log
        self._gone: set[TopicPartition] = set()  # left within this gather
        self._paused: set[TopicPartition] = set()
        self._held: list[Record] = []  # came although none was asked for
        self._halted = False
        self._dead = False
        # Generation and member id of which the listener knows the outcome. KIP-848 tells of a
        # generation only when something changes; it never keeps what a fenced member owned.
        self._told: tuple[int, str] | None = None
        self._tells_all = settings.get("group.protocol") != "consumer"

    def subscribe(self, topics: Sequence[str], listener: Listener) -> None:
        """Joins the group for these topics; what follows happens inside `gather`."""
        self._listener = listener
        self._client.subscribe(
            list(topics),
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def gather(self, max_records: int, timeout: float) -> list[Record]:
        """Runs the listener, then answers records at hand, in order within a partition."""
        if max_records <= 0 or self._held or self._halted:
            records = self._gather_held(max_records, timeout)
        else:
            # poll, then what is there: consume(n, t) would wait the whole t (F8).
            first = self._client.poll(timeout)
            records = []
            if first is not None:
                translate([first], records, self._fault)
                translate(self._client.consume(max_records - 1, 0), records, self._fault)
        if self._gone:
            records = [r for r in records if (r.topic, r.partition) not in self._gone]
            self._gone.clear()
        if self._raised is not None:
            raised, self._raised = self._raised, None
            raise raised
        return records

    def _gather_held(self, max_records: int, timeout: float) -> list[Record]:
        """Polling is what keeps a membership, and polling may answer a record: hold it."""
        if max_records <= 0 and len(self._held) >= _HELD_LIMIT and not self._halted:
            self._halted = True
            self._client.pause(self._client.assignment())
        elif max_records > 0 and self._halted:
            self._halted = False
            names = names_of(self._client.assignment())
            self._flow([name for name in names if name not in self._paused])
        ready = max_records > 0 and any(self._flows(r) for r in self._held)
        message = self._client.poll(0 if ready else timeout)
        if message is not None:
            translate([message], self._held, self._fault)
        taken: list[Record] = []
        rest: list[Record] = []
        for record in self._held:
            takes = len(taken) < max_records and self._flows(record)
            (taken if takes else rest).append(record)
        self._held = rest
        return taken

    def _flows(self, record: Record) -> bool:
        return (record.topic, record.partition) not in self._paused

    def _fault(self, message: Any, records: list[Record]) -> None:
        fault = member_fault(message.error(), message_partition(message), self._who)
        if fault is None:
            return
        if fault.kind is FaultKind.POSITION_LOST and fault.where is not None:
            self._adrift.add(fault.where)
            if fault.where not in self._sought:
                return
        self._dead = self._dead or fault.kind is FaultKind.FATAL
        if fault.kind is FaultKind.EXPELLED:
            records.clear()
            self._held.clear()
        if self._listener is not None:
            listener = self._listener
            self._guarded(lambda: listener.fault(fault))

    def _guarded(self, call: Callable[[], object]) -> None:
        """Callbacks run inside librdkafka: what they raise is kept, and raised by `gather`."""
        try:
            call()
        except Exception as raised:  # noqa: BLE001
            if self._raised is None:
                self._raised = raised

    def _on_assign(self, client: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        names = names_of(partitions)

        def take() -> None:
            self._settle(client)
            # Not the committed position, which may be pending. Not the end: librdkafka asks the
            # broker for it, asks again when there is no leader yet, and believes the answer even
            # if a seek came in between: records were skipped. Paused before the first fetch is
            # answered, so nothing leaks (F9); if 0 is purged, `seek` assigns anew.
            client.incremental_assign([ck.TopicPartition(t, p, 0) for t, p in names])
            client.pause([ck.TopicPartition(t, p) for t, p in names])
            self._paused.update(names)
            self._adrift.update(names)
            if self._listener is not None:
                self._listener.assigned(names)

        self._guarded(take)

    def _on_revoke(self, client: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        names = self._forget(partitions)
        if self._listener is not None:
            listener = self._listener
            self._guarded(lambda: listener.revoked(names))
        self._guarded(lambda: client.incremental_unassign(partitions))
        if self._listener is not None:  # in `close` nobody may be left to answer: it would hang
            self._guarded(lambda: self._settle(client))

    def _on_lost(self, client: ck.Consumer, partitions: list[ck.TopicPartition]) -> None:
        names = self._forget(partitions)
        if self._listener is not None:
            listener = self._listener
            self._guarded(lambda: listener.lost(names))
        self._guarded(lambda: client.incremental_unassign(partitions))
        self._told = None

    def _settle(self, client: ck.Consumer) -> None:
        """The outcome of a generation is told, if only by an empty list.

        Whose session ends while it waits to rejoin gets a new member id, and keeps its partitions
        without a word (librdkafka 2.16): others may have owned and left them meanwhile.
        """
        now = parse_metadata(client.consumer_group_metadata())
        before, self._told = self._told, now
        kept = client.assignment() if before is not None and before[1] != now[1] else []
        if kept and self._listener is not None:
            names = self._forget(kept)
            self.pause(names)
            self._adrift.update(names)
            self._listener.lost(names)
            self._listener.assigned(names)

    def _forget(self, partitions: list[ck.TopicPartition]) -> list[TopicPartition]:
        names = names_of(partitions)
        self._gone.update(names)
        for name in names:
            self._sought.pop(name, None)
        self._paused.difference_update(names)
        self._adrift.difference_update(names)
        self._held = [r for r in self._held if (r.topic, r.partition) not in self._gone]
        return names

    def pause(self, partitions: Iterable[TopicPartition]) -> None:
        """Answers no more records of these partitions until `resume`."""
        names = list(partitions)
        self._paused.update(names)
        self._client.pause([ck.TopicPartition(t, p) for t, p in names])

    def resume(self, partitions: Iterable[TopicPartition]) -> None:
        """Undoes `pause`."""
        names = [name for name in partitions if name in self._paused]
        self._paused.difference_update(names)
        if not self._halted:
            self._flow(names)

    def _flow(self, names: list[TopicPartition]) -> None:
        """Resuming does not wake the thread that fetches (up to 1 s); seeking does."""
        self._client.resume([ck.TopicPartition(t, p) for t, p in names])
        for name in names:
            at = self._position(name)
            if at is not None:
                self._sought[name] = at  # a seek makes librdkafka forget its position
                with suppress(KafkaException):  # it stands there already
                    self._client.seek(ck.TopicPartition(*name, at))

    def _position(self, partition: TopicPartition) -> int | None:
        at = self._client.position([ck.TopicPartition(*partition)])[0].offset
        return self._sought.get(partition) if at < 0 else at  # -1001 until a record has come (F1)

    def seek(self, partition: TopicPartition, position: int) -> None:
        """Reads on at `position`; nothing before it comes any more. Raises Again."""
        where = ck.TopicPartition(*partition, position)
        try:
            if partition in self._adrift:
                self._revive(where)
            else:
                self._client.seek(where)
        except KafkaException as raised:
            # _STATE while the leader is unknown, _UNKNOWN_PARTITION while it is not ours.
            raise Again(f"seek in {named(partition)}: {reason(raised)}") from raised
        self._sought[partition] = position
        self._adrift.discard(partition)
        self._held = [r for r in self._held if (r.topic, r.partition) != partition]

    def _revive(self, where: ck.TopicPartition) -> None:
        """A fetch out of range ends a partition, no seek revives it: assign it anew."""
        self._client.incremental_unassign([where])
        self._client.incremental_assign([where])
        if self._halted or (where.topic, where.partition) in self._paused:
            self._client.pause([where])

    def committed(self, partition: TopicPartition, timeout: float) -> Committed | None:
        """The group's stable committed position, None if there is none. Raises OffsetPending."""
        try:
            # One partition a call: one pending offset times out the whole call (F2).
            answer = self._client.committed([ck.TopicPartition(*partition)], timeout)[0]
        except KafkaException as raised:
            raise _not_committed(kafka_error(raised), partition) from raised
        if answer.error is not None:
            raise _not_committed(answer.error, partition)
        if answer.offset < 0:
            return None
        return Committed(answer.offset, answer.metadata or "")

    def membership(self) -> Membership | None:
        """The membership of this moment; None when the member is in no generation."""
        if self._dead:
            return None
        token: bytes = self._client.consumer_group_metadata()
        generation, member = parse_metadata(token)
        # The broker would accept either of them unfenced (F4).
        if generation < 0 or not member:
            return None
        # Joined, but what is owned now waits to be told: it would accept what is not ours any more.
        if self._tells_all and self._told != (generation, member):
            return None
        return Membership(generation, token)

    def position(self, partition: TopicPartition) -> int | None:
        """The offset to be gathered next; None when unknown."""
        held = [r.offset for r in self._held if (r.topic, r.partition) == partition]
        return held[0] if held else self._position(partition)

    def lag(self, partition: TopicPartition) -> tuple[int, int] | None:
        """Offsets between the position and the last known LSO, and behind it; None: unknown."""
        where = ck.TopicPartition(*partition)
        try:
            _, high = self._client.get_watermark_offsets(where, cached=True)
            at = self.position(partition)
        except KafkaException:
            return None
        if high < 0 or at is None:
            return None
        stable = self._ends.readable(partition, at, high)
        return max(0, stable - at), max(0, high - stable)

    def close(self) -> None:
        """Leaves (a dynamic member) or goes silently (a static one). Never raises."""
        self._listener = None
        close_member(self._client, lambda: self._told is not None)


def _not_committed(error: KafkaError | None, partition: TopicPartition) -> LogError:
    why = "no answer" if error is None else error.str()
    text = f"the committed position of {named(partition)} cannot be told: {why}"
    if error is None or is_transient(error):
        return OffsetPending(text)
    return Refused(text)
