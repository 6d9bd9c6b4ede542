"""The topics: as `topics check` wants them, and what their owners do with sources and commands."""

from collections.abc import Iterator, Mapping

from pmstream.operate import starts, topics
from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, warning
from pmstream.operate.topics import Role
from pmstream.runtime.survey import ClusterFacts

MISSING = failure(
    "topic-missing",
    "A topic of pmstream's own does not exist.",
    "`pmstream topics ensure APP` makes it",
)
FAULT = failure(
    "topic-fault",
    "Topics do not fit the app, or each other: no worker starts.",
    "as the sentence says; `pmstream topics check APP` says it, too",
)
UNSAFE = failure(
    "setting-unsafe",
    "A setting of one of pmstream's own topics loses events or state, or stops work.",
    "`kafka-configs --alter` it to the value that is wanted; `pmstream topics check APP` shows all",
)
DIFFERS = warning(
    "setting-differs",
    "A setting of one of pmstream's own topics is not as it should be: restores are slower, or "
    "the disk fills.",
    "`kafka-configs --alter` it to the value that is wanted; `pmstream topics check APP` shows all",
)
NO_START = failure(
    "no-start",
    "A process manager has no position in a source topic: no worker starts.",
    "`pmstream topics ensure APP` finds and sets it",
)
START_FAULT = failure(
    "start-fault",
    "The positions of a process manager do not fit its topics.",
    "as the sentence says",
)
COMPACTED = warning(
    "source-compacted",
    "A compacted source forgets all but a key's last event: it is no history, and events that "
    "were not read in time never come.",
    "let its owner set cleanup.policy=delete with a long retention, or use another topic",
)
EXPIRES_SOON = warning(
    "source-expires-soon",
    "Events that were not read in time are gone: a weekend without workers loses them.",
    "let its owner raise retention.ms to 7 days or more",
)
EXPIRES_BY_SIZE = warning(
    "source-expires-by-size",
    "A burst of events can push out others that were not read yet.",
    "let its owner set retention.bytes=-1, or a size that holds days of the busiest traffic",
)
EXPIRES = note(
    "source-expires",
    "A replay from the origin sees no older events. For a history, let its owner set "
    "retention.ms=-1.",
)
SMALL_COMMANDS = warning(
    "commands-too-small",
    "A command topic takes smaller records than max_message_bytes lets process managers send; "
    "larger ones are refused, and their instance fails.",
    "lower PMSTREAM_MAX_MESSAGE_BYTES, or let its owner raise max.message.bytes",
)
SMALL_CLIENT = failure(
    "client-too-small",
    "The Kafka client refuses records that a source, or max_message_bytes, lets through: a router "
    "stops at such an event.",
    "remove PMSTREAM_KAFKA__message__max__bytes, or raise it to what is needed",
)
LEFT_OVER = warning(
    "scratch-left",
    "A doctor that was killed left its scratch topic.",
    "`kafka-topics --delete` it, unless a doctor runs at this moment",
)

_LOSES = frozenset(
    {
        "cleanup.policy",
        "max.message.bytes",
        "message.timestamp.type",
        "retention.bytes",
        "retention.ms",
        "unclean.leader.election.enable",
    }
)
_DAY_MS = 24 * 3600 * 1000


def as_wanted(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """What `topics check` says."""
    plan = topics.plan(case.app, case.log, case.settings)
    for fault in plan.faults:
        yield FAULT.found("", fault)
    for spec in plan.create:
        yield MISSING.found(spec.name, "does not exist")
    for each in plan.differences:
        kind = UNSAFE if each.setting in _LOSES else DIFFERS
        yield kind.found(
            each.topic, f"{each.setting} is {each.found or 'not set'}, wanted is {each.wanted}"
        )


def started(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Whether each process manager has positions."""
    found = starts.find_starts(case.app, case.log)
    for fault in found.faults:
        yield START_FAULT.found("", fault)
    for each in found.new:
        yield NO_START.found(each.topic, f"{each.process_manager} has no position in it")


def sources(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Whether events stay until they are read."""
    for name in _existing(case, Role.SOURCE):
        yield from judge_source(name, case.log.config(name))


def judge_source(name: str, config: Mapping[str, str]) -> Iterator[Finding]:
    """Whether a topic with such settings is a history."""
    policy = config.get("cleanup.policy", "delete")
    if "compact" in policy:
        yield COMPACTED.found(name, f"cleanup.policy is {policy}")
    if "delete" not in policy:
        return
    keeps, size = int(config.get("retention.ms", "-1")), int(config.get("retention.bytes", "-1"))
    if 0 <= keeps < 7 * _DAY_MS:
        yield EXPIRES_SOON.found(name, f"events are kept for {_hours(keeps)}")
    elif keeps >= 0:
        yield EXPIRES.found(name, f"events are kept for {_hours(keeps)}: no older ones in a replay")
    if size >= 0:
        yield EXPIRES_BY_SIZE.found(name, f"retention.bytes is {size} for each partition")


def sizes(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Whether what may be written is taken."""
    most = case.settings.max_message_bytes
    client = case.settings.kafka.get("message.max.bytes")
    if client is not None:
        takes = [_takes(case, name, most) for name in _existing(case, Role.SOURCE)]
        needed = max(most, *takes) + topics.ROOM_FOR_HEADERS
        if int(client) < needed:
            yield SMALL_CLIENT.found("", f"its message.max.bytes is {client}, needed is {needed}")
    for name in _existing(case, Role.COMMANDS):
        found = _takes(case, name, most)
        if found < most:
            yield SMALL_COMMANDS.found(
                name, f"max.message.bytes is {found}, our max_message_bytes is {most}"
            )


def left_over(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Scratch topics of a doctor that was killed."""
    for name in sorted(case.log.topics()):
        if name.startswith(case.prefix + "."):
            yield LEFT_OVER.found(name, "is a scratch topic")


def _takes(case: Case, topic: str, default: int) -> int:
    return int(case.log.config(topic).get("max.message.bytes", default))


def _existing(case: Case, role: Role) -> list[str]:
    existing = case.log.topics()
    return [name for name in case.topics(role) if name in existing]


def _hours(milliseconds: int) -> str:
    hours = milliseconds / 3_600_000
    return f"{hours / 24:.3g} days" if hours >= 48 else f"{hours:.3g} hours"
