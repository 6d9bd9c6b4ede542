"""What a worker does, in a topic of the doctor's own: join, abort, commit with positions, read.

Rule: topic, group and transactional id have one name, and nothing else is touched.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from msgspec import Struct

from pmstream.operate.doctor.case import Case
from pmstream.runtime.log import (
    Committed,
    Consumer,
    Fault,
    Membership,
    Producer,
    Record,
    TopicPartition,
)
from pmstream.runtime.log_errors import Again, Refused

T = TypeVar("T")

STEP_SECONDS = 20.0
"""What each step may take; a group waits 3 s for its first members by default."""

KEPT, ABORTED = b"kept", b"aborted"


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


def travel(case: Case, name: str, partitions: int, trip: Trip) -> None:
    """Does in a topic what a worker does; group and transactional id have its name.

    Args:
        case: whose log and clock.
        name: of the topic.
        partitions: how many it has.
        trip: is told of each step.

    Raises:
        TimeUp, LogError: a step failed; `trip.step` says which.
    """
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


class TimeUp(Exception):
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
    again(case, lambda: producer.flush(STEP_SECONDS))
    again(case, lambda: producer.abort(STEP_SECONDS))


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
    again(case, lambda: producer.flush(STEP_SECONDS))
    trip.acknowledged = case.clock.now()
    trip.step = "sending positions in a transaction"
    positions = {place: Committed(1, "doctor") for place in places}
    again(case, lambda: producer.send_offsets(membership, positions, STEP_SECONDS))
    trip.step = "committing a transaction"
    again(case, lambda: producer.commit(STEP_SECONDS))
    trip.seconds = case.clock.monotonic() - began


def again(case: Case, call: Callable[[], None]) -> None:
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
            raise TimeUp(f"not done within {STEP_SECONDS:.0f} s")
