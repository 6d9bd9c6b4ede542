"""A round trip as a worker makes it, on a topic and a group that are made and deleted.

Rule: nothing of the app is touched; what was made is deleted, whatever happens.
"""

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, skipped, warning
from pmstream.operate.doctor.trip import ABORTED, KEPT, TimeUp, Trip, again, travel
from pmstream.runtime.log import TopicSpec
from pmstream.runtime.log_errors import LogError, Refused
from pmstream.runtime.survey import ClusterFacts

SKEW_MS, FAR_MS = 2_000, 60_000

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
    "A transaction takes so long that a process manager hardly gets on.",
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

_SLOW_SECONDS = 3.0


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
        travel(case, name, max(1, len(facts.brokers)), trip)
    except (LogError, TimeUp) as error:
        yield BROKEN.found(name, f"{trip.step}: {error}")
    else:
        yield from _judge(case, name, trip)
    finally:
        undeleted = list(_clean(case, name))
    yield from undeleted


def _clean(case: Case, name: str) -> Iterator[Finding]:
    for delete in (case.survey.delete_topic, case.survey.delete_group):
        try:
            again(case, partial(delete, name))
        except LogError as error:
            yield UNDELETED.found(name, str(error))


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
