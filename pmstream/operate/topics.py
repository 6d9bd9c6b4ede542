"""The topics of an app: which there must be, which differ, and making those that are missing.

Rule: what exists is never altered. A difference is shown; mending it is an operator's decision.
"""

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core.process import CONFIRM, ProcessManager
from pmstream.operate.twins import direct_faults, pair_faults
from pmstream.runtime.generations import everyone
from pmstream.runtime.log import Log, TopicInfo, TopicSpec

PARTS_BESIDE_INPUT = 3
"""An instance's record holds the input at hand, and beside it up to `max_message_bytes` of each:
its state, commands that wait for their turn, a failure's context."""

ROOM_FOR_HEADERS = 64 << 10
"""An inbox record carries its source record, and headers beside it."""

_DEFAULT_MESSAGE_BYTES = 1_048_588
_DAY_MS = 24 * 3600 * 1000

_INBOX = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "retention.ms": "-1",
    "retention.bytes": "-1",
}
_CHANGELOG = {
    "cleanup.policy": "compact",
    "delete.retention.ms": str(7 * _DAY_MS),
    "min.cleanable.dirty.ratio": "0.2",
    "segment.ms": str(_DAY_MS),
}
_REPLIES = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY_MS)}
_ORDERS = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)}
_DEAD_LETTERS = {"cleanup.policy": "delete", "retention.ms": str(30 * _DAY_MS)}

_GENERATIONS = {"cleanup.policy": "compact"}

_AT_LEAST = frozenset({"max.message.bytes", "min.insync.replicas", "delete.retention.ms"})
"""Settings of which more is as good."""


class Role(StrEnum):
    """What a topic is to an app."""

    SOURCE = "source"
    COMMANDS = "commands"
    INBOX = "inbox"
    CHANGELOG = "changelog"
    REPLIES = "replies"
    ORDERS = "orders"
    DEAD_LETTERS = "dead-letters"
    GENERATIONS = "generations"


class Wanted(Struct, frozen=True):
    """A topic that an app needs. `process_manager` is "" for topics that are not ours."""

    role: Role
    spec: TopicSpec
    process_manager: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether pmstream makes and owns it."""
        return bool(self.process_manager)


class Difference(Struct, frozen=True):
    """A setting of an existing topic that is not as it should be; `found` None if it has none."""

    topic: str
    setting: str
    wanted: str
    found: str | None


class Plan(Struct, frozen=True):
    """What the cluster lacks.

    Attributes:
        create: topics that `carry_out` makes.
        differences: settings of our topics that are not as they should be.
        faults: what only a person can mend, one sentence each.
    """

    create: tuple[TopicSpec, ...]
    differences: tuple[Difference, ...]
    faults: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is missing or wrong."""
        return not (self.create or self.differences or self.faults)


def wanted(app: App, log: Log, settings: Settings) -> list[Wanted]:
    """Every topic that the app needs, and how it should be.

    Raises:
        Refused, Unavailable: the cluster.
    """
    existing = log.topics()
    durable, copies = _durability(settings), settings.replication
    count = settings.inbox_partitions
    theirs = [(Role.SOURCE, topic) for topic in app.events]
    theirs += [(Role.COMMANDS, topic) for topic in app.commands]
    # Said aloud, because the inbox must hold what they hold, whatever the broker's default is.
    plain = {"max.message.bytes": str(_DEFAULT_MESSAGE_BYTES), **durable}
    all_of_them = [Wanted(role, TopicSpec(name, count, plain, copies)) for role, name in theirs]
    for names in everyone(log, app):
        input = app.manager(names.process_manager).keyed or names.inbox
        twins = [existing[name] for name in (input, names.changelog) if name in existing]
        all_of_them += of_generation(
            app, log, settings, names, twins[0].partitions if twins else count
        )
        if names.generations in existing:
            spec = TopicSpec(names.generations, 1, {**_GENERATIONS, **durable}, copies)
            all_of_them.append(Wanted(Role.GENERATIONS, spec, names.process_manager))
    return all_of_them


def of_generation(
    app: App, log: Log, settings: Settings, names: Names, partitions: int
) -> list[Wanted]:
    """The topics of one generation of a process manager. Raises as `wanted`."""
    largest = _largest_message(app, log, settings, log.topics())
    beside = {Role.CHANGELOG: PARTS_BESIDE_INPUT * settings.max_message_bytes}
    made = []
    for role, name, config in _own(app.manager(names.process_manager), names):
        room = {"max.message.bytes": str(largest + beside.get(role, 0))}
        common = {**config, **room, **_durability(settings)}
        spec = TopicSpec(name, partitions, common, settings.replication)
        made.append(Wanted(role, spec, names.process_manager))
    return made


def named(app: App, everyone: Iterable[Names]) -> list[tuple[Role, str]]:
    """Every topic that the app needs, or may need; the cluster is not asked."""
    found = [(Role.SOURCE, topic) for topic in app.events]
    found += [(Role.COMMANDS, topic) for topic in app.commands]
    for names in everyone:
        manager = app.manager(names.process_manager)
        found += [(role, topic) for role, topic, _ in _own(manager, names)]
        found.append((Role.GENERATIONS, names.generations))
    return found


def _own(manager: ProcessManager[Any], names: Names) -> Iterator[tuple[Role, str, dict[str, str]]]:
    if manager.keyed is None:
        yield Role.INBOX, names.inbox, _INBOX
    yield Role.CHANGELOG, names.changelog, _CHANGELOG
    if manager.dispatch == CONFIRM:
        yield Role.REPLIES, names.replies, _REPLIES
    yield Role.ORDERS, names.orders, _ORDERS
    yield Role.DEAD_LETTERS, names.dead_letters, _DEAD_LETTERS


def plan(app: App, log: Log, settings: Settings, *, create_missing: bool = False) -> Plan:
    """Compares the cluster with what the app needs.

    Args:
        app: whose topics.
        log: the cluster.
        settings: counts and sizes.
        create_missing: make source and command topics, too: for laptops; elsewhere their owners do.

    Raises:
        Refused, Unavailable: the cluster.
    """
    existing = log.topics()
    create: list[TopicSpec] = []
    differences: list[Difference] = []
    faults: list[str] = []
    for each in wanted(app, log, settings):
        if each.spec.name in existing:
            differences += _differences(each, log)
        elif each.is_ours or create_missing:
            create.append(each.spec)
        else:
            faults.append(
                f"{each.role} topic {each.spec.name} does not exist: its owner makes it "
                "(on a laptop: `pmstream topics ensure --create-missing`)"
            )
    for names in everyone(log, app):
        keyed = app.manager(names.process_manager).keyed
        if keyed is None:
            faults += pair_faults(names, existing, log)
        else:
            faults += direct_faults(names, keyed, existing, log)
    return Plan(tuple(create), tuple(differences), tuple(faults))


def other_counts(app: App, log: Log, settings: Settings) -> list[str]:
    """A sentence for each inbox that has another count than the setting says, if it says one.

    Raises:
        Unavailable: the cluster.
    """
    if "inbox_partitions" not in settings.model_fields_set:
        return []
    existing, said = log.topics(), settings.inbox_partitions
    inboxes = [
        existing[names.inbox]
        for names in everyone(log, app)
        if app.manager(names.process_manager).keyed is None and names.inbox in existing
    ]
    return [
        f"{each.name} has {each.partitions} partitions, the setting inbox_partitions says {said}: "
        "it counts for topics that are not made yet. `pmstream topics repartition` changes this "
        f"one; or set it to {each.partitions}"
        for each in inboxes
        if each.partitions != said
    ]


def carry_out(plan: Plan, log: Log) -> None:
    """Makes the topics that are missing. Raises Refused, Unavailable."""
    log.create_topics(plan.create)


def _largest_message(
    app: App, log: Log, settings: Settings, existing: Mapping[str, TopicInfo]
) -> int:
    """What fits into every source fits into the inbox; so does a state into the changelog."""
    limits = [
        int(log.config(topic).get("max.message.bytes", _DEFAULT_MESSAGE_BYTES))
        if topic in existing
        else _DEFAULT_MESSAGE_BYTES
        for topic in app.events
    ]
    return max(settings.max_message_bytes, *limits) + ROOM_FOR_HEADERS


def _durability(settings: Settings) -> dict[str, str]:
    """With three copies, two must have a record before it counts."""
    if settings.replication is None or settings.replication < 3:
        return {}
    return {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}


def _differences(each: Wanted, log: Log) -> Iterator[Difference]:
    if not each.is_ours:
        return
    found = log.config(each.spec.name)
    for setting, value in each.spec.config.items():
        if not _fits(setting, value, found.get(setting)):
            yield Difference(each.spec.name, setting, value, found.get(setting))


def _fits(setting: str, wanted: str, found: str | None) -> bool:
    if found is None:
        return False
    try:
        difference = float(found) - float(wanted)
    except ValueError:
        return found == wanted
    return difference >= 0 if setting in _AT_LEAST else difference == 0
