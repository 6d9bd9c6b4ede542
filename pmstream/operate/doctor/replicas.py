"""Copies of partitions: who leads, who is in sync, and what the loss of one broker would do."""

from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, skipped, warning
from pmstream.runtime.log import Log
from pmstream.runtime.log_errors import Refused
from pmstream.runtime.survey import ClusterFacts, PartitionFacts, TopicFacts

INTERNAL = ("__transaction_state", "__consumer_offsets")
"""Where Kafka keeps transactions and positions: made at the first use of either."""

LEADERLESS = failure(
    "no-leader",
    "Nobody leads a partition: it can be neither read nor written.",
    "bring back the brokers that the sentence names",
)
BEHIND = warning(
    "under-replicated",
    "A copy is away or behind: the next broker that is lost may be the last one.",
    "see why that broker is away; if it is back, wait until it has caught up",
)
REFUSES = failure(
    "too-few-in-sync",
    "Fewer copies are in sync than min.insync.replicas asks for: every write is refused.",
    "bring the brokers back that are away",
)
NEVER = failure(
    "min-isr-over-copies",
    "min.insync.replicas is more than there are copies: no write can ever succeed.",
    "lower min.insync.replicas of the topic (`kafka-configs --alter`), or give it more copies",
)
NO_RESERVE = warning(
    "min-isr-equals-copies",
    "Every copy must answer each write: one broker that restarts stops all work.",
    "have one copy more than min.insync.replicas: 3 and 2",
)
FEW_COPIES = warning(
    "few-copies",
    "There are brokers enough, but not three copies: one lost disk can lose state or events.",
    "for new topics PMSTREAM_REPLICATION=3; existing ones by `kafka-reassign-partitions`; those of "
    "Kafka itself by offsets.topic.replication.factor and transaction.state.log.replication.factor "
    "before their first use, later by reassignment",
)
LOW_MIN_ISR = warning(
    "min-isr-low",
    "A write counts as soon as one copy has it: it is lost with that broker.",
    "set min.insync.replicas=2 (of __transaction_state: transaction.state.log.min.isr)",
)
UNCLEAN = warning(
    "unclean-election",
    "A copy that was behind may become the leader: what was committed is lost.",
    "set unclean.leader.election.enable=false for the topic, or for the cluster",
)
HIDDEN = skipped(
    "topic-settings-hidden",
    "We may not read a topic's settings, so they were not looked at.",
    "allow DescribeConfigs on the topic, or run doctor once as an administrator",
)


IMPOSSIBLE = failure(
    "internal-topic-impossible",
    "Kafka cannot make the topic in which it keeps transactions or positions: no worker can work.",
    "on the brokers, set transaction.state.log.replication.factor and "
    "offsets.topic.replication.factor to the number of brokers at most (1 on a laptop), and "
    "transaction.state.log.min.isr to no more than that",
)
WEAK = warning(
    "internal-topic-weak",
    "Kafka will keep transactions or positions in fewer than three copies, or one copy will count "
    "as all: a lost disk can lose what was committed.",
    "on the brokers, set transaction.state.log.replication.factor=3, "
    "transaction.state.log.min.isr=2 and offsets.topic.replication.factor=3 before the first use",
)

_FACTOR = {
    "__transaction_state": "transaction.state.log.replication.factor",
    "__consumer_offsets": "offsets.topic.replication.factor",
}
_IN_SYNC = {"__transaction_state": "transaction.state.log.min.isr"}


class Kept(Struct, frozen=True):
    """A topic, its settings (None: hidden), and the brokers that live."""

    topic: TopicFacts
    config: Mapping[str, str] | None
    live: frozenset[int]


def copies(case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """All topics of the app, and those in which Kafka keeps positions and transactions."""
    found, _ = case.survey.describe_topics([*case.topics(), *INTERNAL])
    live = frozenset(broker.id for broker in facts.brokers if not broker.fault)
    for name, topic in found.items():
        kept = Kept(topic, _config(case.log, name), live)
        if kept.config is None and name not in INTERNAL:
            yield HIDDEN.found(name, "does not show us its settings")
        yield from judge_partitions(kept)
        yield from judge_durability(kept)


def to_come(case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """How Kafka would make the topics of its own that are not there yet."""
    existing, _ = case.survey.describe_topics(INTERNAL)
    answering = [each for each in facts.brokers if not each.fault]
    for broker in answering:
        for topic in INTERNAL:
            if broker.config is not None and topic not in existing:
                yield from judge_to_come(topic, broker.config, len(answering))


def judge_to_come(topic: str, config: Mapping[str, str], brokers: int) -> Iterator[Finding]:
    """What becomes of an internal topic with such settings on so many brokers."""
    factor = int(config.get(_FACTOR[topic], "3"))
    least = int(config.get(_IN_SYNC.get(topic, ""), "1"))
    said = f"{_FACTOR[topic]} is {factor}, brokers: {brokers}"
    if topic in _IN_SYNC:
        said += f", {_IN_SYNC[topic]} is {least}"
    if factor > brokers or least > factor:
        yield IMPOSSIBLE.found(topic, said)
    elif brokers >= 3 and (factor < 3 or (topic in _IN_SYNC and least < 2)):
        yield WEAK.found(topic, said)


def _config(log: Log, topic: str) -> Mapping[str, str] | None:
    try:
        return log.config(topic)
    except Refused:
        return None


def judge_partitions(kept: Kept) -> Iterator[Finding]:
    """What is wrong at this moment."""
    least, topic = _least(kept), kept.topic
    leaderless = [each for each in topic.partitions if each.leader is None]
    if leaderless:
        away = {number for each in leaderless for number in each.replicas} - kept.live
        yield LEADERLESS.found(
            _where(topic, leaderless), f"nobody leads it; brokers away: {_list(away)}"
        )
    led = [each for each in topic.partitions if each.leader is not None]
    behind = [each for each in led if len(each.in_sync) < len(each.replicas)]
    refuses = [each for each in behind if len(each.in_sync) < least <= len(each.replicas)]
    if behind:
        lacking = {n for each in behind for n in set(each.replicas) - set(each.in_sync)}
        yield BEHIND.found(
            _where(topic, behind), f"not in sync: copies on brokers {_list(lacking)}"
        )
    if refuses:
        yield REFUSES.found(_where(topic, refuses), f"min.insync.replicas is {least}")


def judge_durability(kept: Kept) -> Iterator[Finding]:
    """What the loss of a broker would do; nothing of it counts where there is only one."""
    copies = min((len(each.replicas) for each in kept.topic.partitions), default=0)
    least, name = _least(kept), kept.topic.name
    if least > copies:
        yield NEVER.found(name, f"min.insync.replicas is {least}, copies are {copies}")
        return
    if len(kept.live) >= 3 and copies < 3:
        yield FEW_COPIES.found(name, f"copies: {copies}, brokers: {len(kept.live)}")
    if copies < 2:
        return
    if kept.config is not None and copies >= 3 and least < 2:
        yield LOW_MIN_ISR.found(name, f"min.insync.replicas is {least}, copies are {copies}")
    if least == copies:
        yield NO_RESERVE.found(name, f"min.insync.replicas is {least}, copies are {copies}")
    if kept.config and kept.config.get("unclean.leader.election.enable") == "true":
        yield UNCLEAN.found(name, "unclean.leader.election.enable is true")


def _least(kept: Kept) -> int:
    return int((kept.config or {}).get("min.insync.replicas", "1"))


def _where(topic: TopicFacts, partitions: Sequence[PartitionFacts]) -> str:
    if len(partitions) == len(topic.partitions) > 1:
        return f"{topic.name} (all {len(partitions)} partitions)"
    return ", ".join(f"{topic.name}-{each.number}" for each in partitions)


def _list(numbers: frozenset[int] | set[int]) -> str:
    return ", ".join(str(each) for each in sorted(numbers)) or "none"
