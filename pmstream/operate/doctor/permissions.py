"""What we may do: with topics, groups and transactional ids; each lack is named.

Rule: asked as who runs the doctor, so run it as the workers do.
"""

from collections.abc import Iterator

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, skipped
from pmstream.operate.topics import Role
from pmstream.runtime.log_errors import Refused
from pmstream.runtime.survey import ClusterFacts

TOPIC = failure(
    "topic-not-allowed",
    "A worker would be refused what it has to do with a topic.",
    "allow it: `kafka-acls --add --allow-principal User:... --operation ... --topic ...`",
)
GROUP = failure(
    "group-not-allowed",
    "A worker would be refused in its consumer group.",
    "allow Read and Describe: `kafka-acls --add --allow-principal User:... --operation Read "
    "--group ...`",
)
TRANSACTION = failure(
    "transactional-id-not-allowed",
    "A worker would be refused its transactions.",
    "allow Write and Describe on ids that begin like it: `kafka-acls --add --allow-principal "
    "User:... --operation Write --transactional-id ... --resource-pattern-type prefixed`",
)
UNTOLD = skipped(
    "permissions-untold",
    "The cluster does not tell what we may do.",
    "use Kafka 2.3 or newer, or see whether the workers' logs speak of authorization",
)
NOT_PROBED = skipped(
    "transactional-ids-not-probed",
    "Whether transactional ids are allowed shows only by using one, which was not to be done.",
    "run it without --no-scratch",
)

_GROUP = ("describe", "read")
_ASKS = ("describe", "describe_configs")

NEEDED: dict[Role, tuple[str, ...]] = {
    Role.SOURCE: (*_ASKS, "read"),
    Role.COMMANDS: ("describe", "write"),
    Role.INBOX: ("delete", *_ASKS, "read", "write"),
    Role.CHANGELOG: (*_ASKS, "read", "write"),
    Role.REPLIES: (*_ASKS, "read"),
    Role.ORDERS: (*_ASKS, "read", "write"),
    Role.DEAD_LETTERS: (*_ASKS, "write"),
    Role.GENERATIONS: ("describe", "read"),
}
"""What `pmstream run` does with each kind of topic; `delete` is of records, the inbox's purge."""


def topics(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Each topic of the app."""
    roles = case.topics()
    found, denied = case.survey.describe_topics(list(roles))
    for name, role in roles.items():
        needed = NEEDED[role]
        if name in denied:
            yield TOPIC.found(name, f"not allowed: {_words(needed)} ({role})")
        elif name in found:
            allowed = found[name].operations
            if allowed is None:
                yield UNTOLD.found(name, "what we may do with it is not told")
            elif lacking := [each for each in needed if each not in allowed]:
                yield TOPIC.found(name, f"not allowed: {_words(lacking)} ({role})")


def groups(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Each group of the app; of one that nobody has used only whether we may ask for it."""
    names = [names.group(role) for names, role in case.groups()]
    for name, group in case.survey.describe_groups(names).items():
        if group.is_denied:
            yield GROUP.found(name, "not allowed: Describe, Read")
        elif group.operations is not None:
            lacking = [each for each in _GROUP if each not in group.operations]
            if lacking:
                yield GROUP.found(name, f"not allowed: {_words(lacking)}")


def transactional_ids(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Uses one id like those of the workers of each role; nothing is written under it."""
    if not case.scratch:
        yield NOT_PROBED.found("", "transactional ids were not tried")
        return
    for names, role in case.groups():
        id = names.transactional_id(role, "doctor")
        try:
            case.log.producer(id).drop()
        except Refused as refused:
            yield TRANSACTION.found(id, str(refused))


def _words(operations: tuple[str, ...] | list[str]) -> str:
    """As Kafka's tools write them: DescribeConfigs."""
    return ", ".join(each.title().replace("_", "") for each in operations)
