"""A process manager's state made anew from its history, by today's code, beside the old one.

Rule: looked at first, then begun; the old generation is closed before anything is read for good.
Each step goes on where a kill left it: topics that are there stay, positions that are marked stay
marked, the inbox and the changelog of the new generation tell how far they are.
"""

from collections.abc import Callable, Iterator, Mapping

from pmstream.app import App, Names
from pmstream.errors import Busy, ConfigurationError
from pmstream.operate import generations
from pmstream.operate.generations import Making, Positions
from pmstream.operate.job import Job, Plan, Rebuilt
from pmstream.operate.refolding import Refolding
from pmstream.operate.rerouting import Accept, Done, Rerouting
from pmstream.operate.rerun import History
from pmstream.operate.retained import apart, retained
from pmstream.operate.stand import Stand, stands
from pmstream.operate.standstill import make_topics, members, places
from pmstream.operate.topics import of_generation
from pmstream.operate.unfinished import lost, unfinished, unhandled
from pmstream.runtime.clock import Clock
from pmstream.runtime.generations import live
from pmstream.runtime.generations import unfinished as says_unfinished
from pmstream.runtime.log import Committed, Log, Producer, TopicPartition
from pmstream.runtime.sources import Note, dump_note

WHAT = "rebuild"

Positioned = Mapping[str, Positions]
"""Group to its positions."""


def plan(log: Log, job: Job) -> Plan:
    """Looks at everything; changes nothing.

    Raises:
        ConfigurationError: there is no such process manager, or its topics are missing.
        Busy: another change of generation is under way.
        Unreachable, Unavailable, Refused: the cluster.
    """
    app, name = job.app, job.process_manager
    making = generations.under_way(log, app, name)
    if making is not None and making.change.what != WHAT:
        raise Busy(says_unfinished(name, making.change))
    if making is not None and making.change.detail != job.detail:
        raise ConfigurationError(
            f"the rebuild of {name} that is under way began at {making.change.detail}, not at "
            f"{job.detail}: say --from as then, or give it up with --abandon"
        )
    new = making.new if making else generations.next_names(log, app, name, own_feeds=False)
    old = making.old if making else live(log, app.name, name)
    _check_topics(log, app, old)
    known = {
        group: log.last_committed(group, some) for group, some in places(log, app, old).items()
    }
    positions: Positioned = known
    if making is not None:
        positions = known | generations.closed_positions(log, making)
    faults = list(members(log, app, old))
    return _look(log, job, old, new, positions, faults, resumed=making is not None)


def _look(
    log: Log,
    job: Job,
    old: Names,
    new: Names,
    positions: Positioned,
    faults: list[str],
    *,
    resumed: bool,
) -> Plan:
    """History and what is unfinished, as of these positions."""
    instances = inputs = 0
    taken = {p: at.position for p, at in positions[job.app.source_group(old)].items()}

    def counted() -> Iterator[Stand]:
        nonlocal instances, inputs
        for stand in stands(log, old):
            instances += sum(1 for _ in stand.instances())
            last = stand.last
            inputs += last.orders + last.replies if last is not None else 0
            yield stand

    faults += unfinished(counted())
    if job.app.manager(job.process_manager).keyed is None:
        inbox = {p: at.position for p, at in positions[old.group("instances")].items()}
        faults += unhandled(log, old, inbox)
    history = retained(log, job.app, old, taken, job.begins)
    if not history.sources and not history.faults:
        faults.append(f"{job.process_manager} has taken in nothing: there is nothing to rebuild")
    return Plan(
        old=old,
        new=new,
        partitions=log.topics()[old.changelog].partitions,
        sources=history.sources,
        inputs=inputs,
        instances=instances,
        resumed=resumed,
        faults=(*faults, *history.faults),
    )


def carry_out(
    log: Log, job: Job, clock: Clock, accept: Accept, done: Done, told: Callable[[str], None]
) -> Rebuilt:
    """Makes the new generation, and makes it live.

    Args:
        log: the cluster.
        job: what is asked for.
        clock: time.
        accept: told of what fares otherwise, or would be lost; whether to go on.
        done: hears how many more offsets are done, of twice `Plan.events` and `Plan.inputs`.
        told: hears what it does.

    Raises:
        ConfigurationError: it is forbidden; everything is as it was before.
        Stopped: today's code stops, or a loss is not accepted; the same call goes on.
        Busy: workers run, or another change is under way.
        Again, MustAbort, OutcomeUnknown, Unreachable, Unavailable, Refused: the cluster; the same
            call goes on.
    """
    making = generations.begin(
        log,
        job.app,
        job.process_manager,
        WHAT,
        partitions=log.topics()[live(log, job.app.name, job.process_manager).changelog].partitions,
        own_feeds=False,
        settings=job.settings,
        clock=clock,
        detail=job.detail,
    )
    generations.close(log, making, clock)
    old, new = making.old, making.new
    positions: Positioned = generations.closed_positions(log, making)
    known = {group: positions.get(group, {}) for group in places(log, job.app, old)}
    found = _look(log, job, old, new, known, [], resumed=True)
    if found.faults:  # what moved between the look and the close
        generations.abandon(log, making)
        raise ConfigurationError(*found.faults)
    wanted = of_generation(job.app, log, job.settings, new, found.partitions)
    make_topics(log, [each.spec for each in wanted], clock)
    passed = apart(log, old)
    producer = log.producer(owner(new))
    try:
        if job.app.manager(job.process_manager).keyed is None:
            told(f"routing history into {new.inbox}")
            Rerouting(log, job.app, new, passed, accept).run(found.sources, producer, done)
        told(f"working it off into {new.changelog}; no command is sent")
        _refold(log, job, making, producer, (found.sources, passed, accept, done))
    finally:
        producer.drop()
    told("comparing with the generation before")
    return _go_live(log, making, known, accept)


def owner(names: Names) -> str:
    """Transactional id of who rebuilds; as that of a worker, so the same permissions do."""
    return names.transactional_id("instances", WHAT)


def has_run(log: Log, names: Names) -> bool:
    """Whether a worker has committed in a generation that a rebuild made."""
    return any(
        each.last is not None and each.last.owner != owner(names) for each in stands(log, names)
    )


def _refold(
    log: Log,
    job: Job,
    making: Making,
    producer: Producer,
    rest: tuple[History, frozenset[str], Accept, Done],
) -> None:
    sources, passed, accept, done = rest
    refolding = Refolding(log, job.app, making.new, producer, job.settings, passed, accept)
    for stand in stands(log, making.old):
        refolding.run(stand, refolding.history(stand, sources), done)


def _go_live(log: Log, making: Making, positions: Positioned, accept: Accept) -> Rebuilt:
    """The new generation is live, unless something would be lost."""
    instances = differing = 0
    findings: list[str] = []
    reached: dict[TopicPartition, Committed] = {}
    old, new, app = making.old, making.new, making.app
    keyed = app.manager(old.process_manager).keyed
    for before, after in zip(stands(log, old), stands(log, new), strict=True):
        findings += lost(before, after)
        uuids = {uuid for each in (before, after) for uuid, _ in each.instances()}
        instances += sum(1 for _ in after.instances())
        differing += sum(before.view(uuid) != after.view(uuid) for uuid in uuids)
        if after.last is not None:
            text = str(after.last.sequence)
            reached[TopicPartition(keyed or new.inbox, after.number)] = Committed(
                after.last.source, text
            )
    accepted = [accept(each) for each in findings]  # each is to be told
    is_live = all(accepted)
    if is_live:
        before_it = positions[app.source_group(old)]
        if keyed is None:
            log.set_positions(new.group("router"), before_it)
        else:  # where there is no state yet, the position is that of a start
            note = dump_note(Note(owner(new), log.topics()[keyed].id))
            starts = {p: Committed(at.position, note) for p, at in before_it.items()}
            reached = starts | reached
        log.set_positions(new.group("instances"), reached)
        generations.go_live(log, making)
    return Rebuilt(
        generation=new.generation,
        instances=instances,
        differing=differing,
        lost=tuple(findings),
        is_live=is_live,
    )


def _check_topics(log: Log, app: App, names: Names) -> None:
    existing = log.topics()
    wanted = [*app.events, names.changelog, names.orders, names.dead_letters]
    if app.manager(names.process_manager).keyed is None:
        wanted.append(names.inbox)
    missing = [topic for topic in wanted if topic not in existing]
    if missing:
        raise ConfigurationError(
            f"there is no topic {', '.join(missing)}: run `pmstream topics ensure`"
        )
