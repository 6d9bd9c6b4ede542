"""Builds the worker of a role from an app, a log and settings; checks the topics it needs."""

from typing import Any

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core import process
from pmstream.core.durations import milliseconds
from pmstream.core.process import CONFIRM, Callbacks, ProcessManager
from pmstream.errors import ConfigurationError
from pmstream.runtime import router
from pmstream.runtime.clock import Clock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import Probe
from pmstream.runtime.direct import DirectReader
from pmstream.runtime.failures import Failures
from pmstream.runtime.folder import remove_beyond
from pmstream.runtime.generations import to_run
from pmstream.runtime.guard import Guard
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.intake import Intake, Rules
from pmstream.runtime.log import Log, TopicInfo
from pmstream.runtime.observer import Observer
from pmstream.runtime.overlay import Room
from pmstream.runtime.reading import InboxReader, Reader
from pmstream.runtime.replies import reply_reader
from pmstream.runtime.restore import feed_mismatch
from pmstream.runtime.restores import Place, Told
from pmstream.runtime.router import RouterStage
from pmstream.runtime.routes import Routes
from pmstream.runtime.setup import Direct, Setup, installed
from pmstream.runtime.sources import Positions, load_note
from pmstream.runtime.stage import Stage
from pmstream.runtime.takeover import Takeover
from pmstream.runtime.traced import Traced
from pmstream.runtime.trail import Trail
from pmstream.runtime.worker import Identity, Worker

ROUTER, INSTANCES = "router", "instances"
ROLES = (ROUTER, INSTANCES)


def make_worker(  # noqa: PLR0913, PLR0917 - where everything meets
    app: App,
    process_manager: str,
    role: str,
    name: str,
    log: Log,
    settings: Settings,
    clock: Clock,
    told: Told = lambda _what, _partition, _text: None,
    probe: Probe = lambda _step: None,
    trail: Trail | None = None,
) -> Worker:
    """Builds a worker, ready to turn.

    Args:
        app: what to run.
        process_manager: its name in the app.
        role: one of ROLES.
        name: the worker's stable name: static membership, transactional id, state folder.
        log: the cluster.
        settings: limits and times.
        clock: time.
        told: hears of what is worth a log line: (what, partition, text).
        probe: told each step of a commit (tests crash there).
        trail: keeps spans; None when tracing is off.

    Raises:
        ConfigurationError: topics are missing or do not fit.
        Busy: another generation is being made.
        Unavailable: Kafka does not answer.
    """
    names = to_run(log, app.name, process_manager)
    identity = Identity(names.group(role), names.transactional_id(role, name), name)
    takeover = Takeover(log, clock, identity.transactional_id)
    topics = log.topics()
    stage: Stage
    if role not in app.roles(process_manager):
        raise ConfigurationError(
            f"{process_manager} reads {app.manager(process_manager).keyed} itself: it has no "
            f"{role}, start the role {INSTANCES} only"
        )
    if role == ROUTER:
        _needed(topics, names, names.inbox, names.dead_letters, *app.events)
        setup = _router_setup(app, names, identity.transactional_id, topics, told, trail)
        positions = Positions(log, identity.group, setup.topic_ids, takeover, clock)
        stage = RouterStage(setup, positions, told)
    else:
        _needed(topics, names, *_instances_topics(app, names))
        manager = app.manager(process_manager)
        place = _place(names, name, log, topics, settings, manager.keyed or names.inbox)
        for number in remove_beyond(place.directory, topics[names.changelog].partitions):
            told("store removed", number, "there is no such partition (any more)")
        owner = identity.transactional_id
        shared = partition_setup(app, names, owner, log, settings, clock, told, trail=trail)
        stage = InstancesStage(log, shared, place, takeover, settings.store_flush_interval_s, told)
    return Worker(log, stage, identity, settings, clock, probe, trail)


def _needed(topics: dict[str, TopicInfo], names: Names, *wanted: str) -> None:
    missing = [topic for topic in wanted if topic not in topics]
    if missing:
        raise ConfigurationError(
            f"{names.process_manager} needs topic {', '.join(missing)}, which the cluster does not "
            "have: run `pmstream topics ensure`"
        )


def _instances_topics(app: App, names: Names) -> list[str]:
    manager = app.manager(names.process_manager)
    own = [manager.keyed or names.inbox, names.changelog, names.orders, names.dead_letters]
    if manager.dispatch == CONFIRM:
        own.append(names.replies)
    return [*own, *app.commands]


def _watched(
    app: App, manager: ProcessManager[Any], told: Told, failures: Failures
) -> tuple[Callbacks, Guard | None, Observer | None]:
    """The callbacks, watched if they have an event_timeout, observed if the app has listeners."""
    callbacks, guard, observer = process.bind(manager), None, None
    if manager.event_timeout is not None:
        guard = Guard(milliseconds(manager.event_timeout, "event_timeout") / 1000)
        callbacks = guard.bind(callbacks)
    if app.telemetry:
        observer = Observer(app.telemetry, lambda text: told("telemetry", -1, text))
        callbacks = observer.bind(callbacks)
    return failures.bind(callbacks), guard, observer


def _router_setup(
    app: App,
    names: Names,
    owner: str,
    topics: dict[str, TopicInfo],
    told: Told,
    trail: Trail | None,
) -> router.Setup:
    manager = app.manager(names.process_manager)
    failures = Failures()
    callbacks, guard, _ = _watched(app, manager, told, failures)
    return router.Setup(
        names=names,
        intake=source_intake(app, names, callbacks, guard),
        guard=guard,
        failures=failures,
        topic_ids={topic: topics[topic].id for topic in app.events},
        owner=owner,
        routes=None if trail is None else Routes(trail, names.process_manager),
    )


def source_intake(
    app: App, names: Names, callbacks: Callbacks, guard: Guard | None = None
) -> Intake:
    """Judges source records for a process manager."""
    manager = app.manager(names.process_manager)
    rules = Rules(
        names=names,
        callbacks=callbacks,
        guard=guard,
        codec=Codec(app),
        undecodable=manager.undecodable,
        unknown_schema=manager.unknown_schema,
    )
    return Intake(rules)


def partition_setup(  # noqa: PLR0913 - as make_worker
    app: App,
    names: Names,
    owner: str,
    log: Log,
    settings: Settings,
    clock: Clock,
    told: Told,
    *,
    is_watched: bool = True,
    trail: Trail | None = None,
) -> Setup:
    """What all partitions of an instances worker share.

    Args:
        app: with the process manager.
        names: of the process manager.
        owner: transactional id of the worker.
        log: the cluster.
        settings: limits.
        clock: time.
        told: hears of what is worth a log line.
        is_watched: whether callbacks have their time limit, and listeners hear of them.
        trail: keeps spans; None when tracing is off.

    Raises:
        Unavailable: Kafka does not answer.
    """
    manager, topics, failures = app.manager(names.process_manager), log.topics(), Failures()
    partitions = topics[names.changelog].partitions
    callbacks, guard, observer = process.bind(manager), None, None
    if is_watched:
        callbacks, guard, observer = _watched(app, manager, told, failures)
    confirms = manager.dispatch == CONFIRM
    coder = Codec(app, max_message_bytes=settings.max_message_bytes)
    reader: Reader = InboxReader(names, partitions, coder)
    if manager.keyed is not None:
        reader = DirectReader(source_intake(app, names, callbacks, guard), partitions)
    return Setup(
        names=names,
        callbacks=callbacks,
        guard=guard,
        observer=observer,
        traced=None if trail is None else Traced(trail, names, callbacks),
        failures=failures,
        read_reply=reply_reader(names.replies, partitions) if confirms else None,
        idle_ms=_idle_ms(manager),
        coder=coder,
        direct=None if manager.keyed is None else _direct(log, topics[manager.keyed]),
        reader=reader,
        clock=clock,
        owner=owner,
        version=installed(),
        partitions=partitions,
        backlog_limit=manager.backlog_limit,
        max_state_bytes=settings.max_message_bytes,
        room=Room(settings.cache_bytes),
        inbox_retention_ms=int(settings.inbox_retention_hours * 3_600_000),
    )


def _idle_ms(manager: ProcessManager[Any]) -> int | None:
    idle = manager.idle_timeout
    return None if idle is None else milliseconds(idle, "idle_timeout")


def _direct(log: Log, topic: TopicInfo) -> Direct:
    def is_start(text: str) -> bool:
        note = load_note(text)
        return note is not None and note.topic_id == topic.id

    stamped = log.config(topic.name).get("message.timestamp.type") == "LogAppendTime"
    return Direct(topic=topic.name, id=topic.id, is_start=is_start, in_order=stamped)


def _place(
    names: Names,
    name: str,
    log: Log,
    topics: dict[str, TopicInfo],
    settings: Settings,
    input: str,
) -> Place:
    inbox, changelog = topics[input], topics[names.changelog]
    if inbox.partitions != changelog.partitions:
        raise ConfigurationError(
            f"{inbox.name} has {inbox.partitions} partitions but {changelog.name} has "
            f"{changelog.partitions}: they must be equal; delete the one that was made wrongly "
            "(`pmstream topics repartition` changes both); a source topic of direct mode that "
            "grew: leave `keyed` out and give the process manager a new name"
        )
    for topic in (names.replies, names.orders):
        feed = topics.get(topic)
        if feed is not None and feed.partitions != inbox.partitions:
            raise ConfigurationError(feed_mismatch(inbox, feed))
    retention = log.config(changelog.name).get("delete.retention.ms", "86400000")
    return Place(
        directory=settings.state_dir / names.app / names.process_manager / name,
        identity=f"{inbox.id} {changelog.id} {inbox.partitions}",
        delete_retention_ms=int(retention),
        stall_timeout_ms=settings.restore_stall_timeout_ms,
    )
