"""A round trip as a worker makes it, on a topic and a group that are made and deleted.

Rule: nothing of the app is touched; what was made is deleted, whatever happens.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar
from uuid import uuid4

from msgspec import Struct

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, skipped, warning
from pmstream.runtime.log import (
    Committed,
    Consumer,
    Fault,
    Membership,
    Producer,
    Record,
    TopicPartition,
    TopicSpec,
)
from pmstream.runtime.log_errors import Again, LogError, Refused
from pmstream.runtime.survey import ClusterFacts

T = TypeVar("T")

STEP_SECONDS = 20.0
"""What each step may take; a group waits 3 s for its first members by default."""

SKEW_MS, FAR_MS = 2_000, 60_000

KEPT, ABORTED = b"kept", b"aborted"

NOT_MADE = skipped(
    "no-round-trip",
    "Transactions and clocks were not tried, because nothing was to be made.",
    "run it without --no-scratch",
)
NOT_ALLOWED = skipped(
    "scratch-refused",
    "The scratch topic could not be made, so transactions and clocks were not tried.",
    "allow Create, Delete, Read and Write on topics, groups and transactional ids that begin with "
    "`<app>.doctor`, or pass --no-scratch",
)
BROKEN = failure(
    "round-trip-failed",
    "A transaction with its positions, written and read back as a worker does it, failed.",
    "as the sentence says; the findings about brokers, copies and permissions often say why",
)
LEAKS = failure(
    "aborted-visible",
    "A record of an aborted transaction was read as if it were committed.",
    "report it, with the versions of Kafka and librdkafka",
)
SLOW = warning(
    "round-trip-slow",
    "A transaction takes so long that a process manager can hardly do more than one a second.",
    "see whether brokers are overloaded, or far away",
)
TOOK = note("round-trip", "What a transaction took.")
SKEW = warning(
    "clock-skew",
    "A broker's clock and ours differ: timers come early or late by as much.",
    "set the clocks of both machines by NTP",
)
FAR = failure(
    "clock-wrong",
    "A broker's clock and ours differ by a minute or more: deadlines fire wrongly, and from an "
    "hour on brokers refuse our commands.",
    "set the clocks of both machines by NTP",
)
UNDELETED = warning(
    "scratch-not-deleted",
    "What the doctor made could not be deleted again.",
    "delete it with Kafka's tools; allow Delete on names that begin with `<app>.doctor`",
)

_SLOW_SECONDS = 1.0


class Trip(Struct):
    """What is known of a round trip so far.

    Attributes:
        step: what was tried last.
        sent, acknowledged: when the kept records were, milliseconds since the epoch.
        seconds: from begin to the end of the commit.
        read: what came back.
    """

    step: str = "making it"
    sent: int = 0
    acknowledged: int = 0
    seconds: float = 0.0
    read: list[Record] = []


def round_trip(case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """Makes a topic, does in it what a worker does, and deletes it."""
    if not case.scratch:
        yield NOT_MADE.found("", "no transaction was tried")
        return
    name = f"{case.prefix}.{uuid4().hex[:8]}"
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": "3600000"}
    try:
        case.log.create_topics([TopicSpec(name, max(1, len(facts.brokers)), config)])
    except Refused as refused:
        yield NOT_ALLOWED.found(name, str(refused))
        return
    trip = Trip(read=[])
    try:
        _travel(case, name, max(1, len(facts.brokers)), trip)
    except (LogError, _TimeUp) as error:
        yield BROKEN.found(name, f"{trip.step}: {error}")
    else:
        yield from _judge(case, name, trip)
    finally:
        undeleted = list(_clean(case, name))
    yield from undeleted


def _clean(case: Case, name: str) -> Iterator[Finding]:
    for delete in (case.survey.delete_topic, case.survey.delete_group):
        try:
            delete(name)
        except LogError as error:
            if "GROUP_ID_NOT_FOUND" not in str(error):  # it never came to be
                yield UNDELETED.found(name, str(error))


def _travel(case: Case, name: str, partitions: int, trip: Trip) -> None:
    """What a worker does; topic, group and transactional id have the same name."""
    places = [TopicPartition(name, number) for number in range(partitions)]
    trip.step = "joining a group"
    member = case.log.consumer(name)
    try:
        membership = _join(case, member, name, len(places))
        trip.step = "making a transactional producer"
        producer = case.log.producer(name)
        try:
            _aborted(case, producer, places, trip)
            _committed(case, producer, places, trip, membership)
        finally:
            producer.drop()
        trip.step = "reading it back"
        trip.read = _read(case, places)
        trip.step = "reading the positions back"
        _positions(case, member, places)
    finally:
        member.close()


class _TimeUp(Exception):
    """A step took longer than STEP_SECONDS."""


class _Listener:
    """Counts what a member owns."""

    def __init__(self) -> None:
        self.owned: set[TopicPartition] = set()
        self.faults: list[str] = []

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned.update(partitions)

    def revoked(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned.difference_update(partitions)

    def lost(self, partitions: Sequence[TopicPartition]) -> None:
        self.owned.difference_update(partitions)

    def fault(self, fault: Fault) -> None:
        self.faults.append(fault.text)


def _join(case: Case, member: Consumer, topic: str, partitions: int) -> Membership:
    listener = _Listener()
    member.subscribe([topic], listener)

    def joined() -> Membership | None:
        member.gather(0, 0.1)
        if listener.faults:
            raise Refused(listener.faults[-1])
        return member.membership() if len(listener.owned) == partitions else None

    return _until(case, joined)


def _aborted(case: Case, producer: Producer, places: Sequence[TopicPartition], trip: Trip) -> None:
    trip.step = "a transaction that is aborted"
    producer.begin()
    for place in places:
        producer.produce(place.topic, ABORTED, partition=place.partition)
    _again(case, lambda: producer.flush(STEP_SECONDS))
    _again(case, lambda: producer.abort(STEP_SECONDS))


def _committed(
    case: Case,
    producer: Producer,
    places: Sequence[TopicPartition],
    trip: Trip,
    membership: Membership,
) -> None:
    began = case.clock.monotonic()
    trip.step = "writing in a transaction"
    producer.begin()
    trip.sent = case.clock.now()
    for place in places:
        producer.produce(place.topic, KEPT, partition=place.partition)
    _again(case, lambda: producer.flush(STEP_SECONDS))
    trip.acknowledged = case.clock.now()
    trip.step = "sending positions in a transaction"
    positions = {place: Committed(1, "doctor") for place in places}
    _again(case, lambda: producer.send_offsets(membership, positions, STEP_SECONDS))
    trip.step = "committing a transaction"
    _again(case, lambda: producer.commit(STEP_SECONDS))
    trip.seconds = case.clock.monotonic() - began


def _again(case: Case, call: Callable[[], None]) -> None:
    """Repeats it, as a worker does, until time is up."""
    until = case.clock.monotonic() + STEP_SECONDS
    while True:
        try:
            return call()
        except Again:
            if case.clock.monotonic() > until:
                raise
            case.clock.sleep(0.05)


def _read(case: Case, places: Sequence[TopicPartition]) -> list[Record]:
    records: list[Record] = []
    reader = case.log.reader()

    def come() -> list[Record] | None:
        records.extend(reader.read(100, 0.1))
        kept = {each.partition for each in records if each.value == KEPT}
        return records if len(kept) == len(places) else None

    try:
        reader.assign(dict.fromkeys(places, 0))
        return _until(case, come)
    finally:
        reader.close()


def _positions(case: Case, member: Consumer, places: Sequence[TopicPartition]) -> None:
    def told(place: TopicPartition) -> Committed | None:
        try:
            return member.committed(place, 1.0)
        except Again:
            return None

    for place in places:
        found = _until(case, partial(told, place))
        if found != Committed(1, "doctor"):
            raise Refused(f"{place.topic}-{place.partition} has position {found}, not 1")


def _until(case: Case, ask: Callable[[], T | None]) -> T:
    """Asks until there is an answer."""
    until = case.clock.monotonic() + STEP_SECONDS
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if case.clock.monotonic() > until:
            raise _TimeUp(f"not done within {STEP_SECONDS:.0f} s")


def _judge(case: Case, name: str, trip: Trip) -> Iterator[Finding]:
    if any(each.value == ABORTED for each in trip.read):
        yield LEAKS.found(name, "an aborted record was read")
    took = f"a transaction with positions took {trip.seconds * 1000:.0f} ms"
    if trip.seconds > _SLOW_SECONDS:
        yield SLOW.found("", took)
    else:
        yield TOOK.found("", took)
    topics, _ = case.survey.describe_topics([name])
    leaders = {each.number: each.leader for each in topics[name].partitions} if topics else {}
    for record in trip.read:
        if record.value == KEPT:
            leader = leaders.get(record.partition)
            yield from judge_clock(trip, record.timestamp, f"broker {leader}")


def judge_clock(trip: Trip, appended: int, where: str) -> Iterator[Finding]:
    """Whether a broker's append lies between our sending and its answer, by our clock."""
    early, late = trip.sent - appended, appended - trip.acknowledged
    off = max(early, late)
    if off >= SKEW_MS:
        kind = FAR if off >= FAR_MS else SKEW
        which = "behind" if early > late else "ahead of"
        yield kind.found(where, f"its clock is {off / 1000:.1f} s {which} ours")
