"""The consumer groups: who is in them, and whether they can be joined."""

from collections.abc import Iterator

from msgspec import Struct

from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, warning
from pmstream.runtime.survey import ClusterFacts, GroupFacts

ASSIGNOR = failure(
    "group-assignor",
    "The members of a group agreed on another strategy: our workers are refused, or the others "
    "are no workers of pmstream.",
    "stop the members that are not `pmstream run`, or set all to one PMSTREAM_GROUP_PROTOCOL",
)
PROTOCOL = warning(
    "group-protocol-mixed",
    "The members of a group use another protocol than this deployment would.",
    "set the same PMSTREAM_GROUP_PROTOCOL for all workers",
)
STRANGER = failure(
    "group-stranger",
    "A member of a group reads topics that are none of the app: another program uses the same "
    "group and takes partitions away.",
    "stop that program, or give it a group of its own",
)
UNSETTLED = warning(
    "group-unsettled",
    "A group rebalances at this moment. If it does so for long, a worker dies again and again, or "
    "does not come back from a callback.",
    "ask again in a minute; then look at the workers' logs",
)
IDLE = warning(
    "group-idle-members",
    "A group has more members than there are partitions: the others do nothing.",
    "run fewer workers; only `topics repartition` makes an inbox larger",
)
MEMBERS = note("group-members", "Who is in a group.")
EMPTY = note("group-empty", "Nobody is in a group: no worker runs.")

STRATEGY = "cooperative-sticky"


class Ours(Struct, frozen=True):
    """What a group should be like.

    Attributes:
        topics: that its members may read.
        partitions: of all of them.
        protocol: "classic" or "consumer".
    """

    topics: frozenset[str]
    partitions: int
    protocol: str


def members(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """Each group of the app."""
    existing = case.log.topics()
    found = case.survey.describe_groups([names.group(role) for names, role in case.groups()])
    for names, role in case.groups():
        is_source = names.group(role) == case.app.source_group(names)
        topics = set(case.app.events) if is_source else {case.input(names)}
        count = sum(existing[each].partitions for each in topics if each in existing)
        ours = Ours(frozenset(topics), count, case.settings.group_protocol)
        yield from judge_group(found[names.group(role)], ours)


def judge_group(group: GroupFacts, ours: Ours) -> Iterator[Finding]:
    """Whether a group is as it should be."""
    if group.is_denied:
        return  # the permissions say it
    if not group.members:
        yield EMPTY.found(group.name, "has no members: no worker runs")
        return
    names = ", ".join(f"{each.name} on {each.host}" for each in group.members)
    yield MEMBERS.found(group.name, f"{len(group.members)}: {names}")
    if group.state.startswith(("preparing", "completing")):
        yield UNSETTLED.found(group.name, f"is {group.state.replace('_', ' ')}")
    is_classic = group.protocol != "consumer"
    if is_classic and group.assignor and group.assignor != STRATEGY:
        yield ASSIGNOR.found(group.name, f"its members use {group.assignor}, ours {STRATEGY}")
    if group.protocol and is_classic is not (ours.protocol == "classic"):
        yield PROTOCOL.found(
            group.name, f"its members use {group.protocol}, our group_protocol is {ours.protocol}"
        )
    for each in group.members:
        foreign = sorted(each.topics - ours.topics)
        if foreign:
            yield STRANGER.found(
                group.name, f"{each.name} on {each.host} reads {', '.join(foreign)}"
            )
    if ours.partitions and len(group.members) > ours.partitions:
        yield IDLE.found(
            group.name, f"{len(group.members)} members share {ours.partitions} partitions"
        )
