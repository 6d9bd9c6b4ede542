"""What a chaos run plays on: proxy, Kafka, topics, workers, bank, loader and watch.

Rule: whatever happens, all that was started is ended.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from msgspec import Struct

from pmstream import devkafka
from pmstream.chaos import bank
from pmstream.chaos.counter import app
from pmstream.chaos.fleet import NAMES, ROUTERS, Fleet
from pmstream.chaos.load import Loader
from pmstream.chaos.monkey import SESSION_SECONDS, TRANSACTION_SECONDS
from pmstream.chaos.outages import ALONE, BROKER_SESSION_SECONDS, Brokers
from pmstream.chaos.proxy import Proxy
from pmstream.chaos.watch import Watch
from pmstream.config import Settings
from pmstream.devkafka import ports
from pmstream.errors import PmstreamError
from pmstream.operate import starts, topics
from pmstream.runtime.codec import Codec
from pmstream.runtime.log import Log

PARTITIONS = 6
JOIN_SECONDS = 60.0

Say = Callable[[str], None]


class Plan(Struct, frozen=True):
    """What a run is to do: `rate` of events a second; `only` are kinds of faults, none is all."""

    minutes: float
    seed: int
    workers: int
    brokers: int
    rate: int
    only: tuple[str, ...] = ()


class Stage(Struct):
    """All that runs while the monkey is at work."""

    log: Log
    proxy: Proxy
    brokers: Brokers
    fleet: Fleet
    loader: Loader
    watch: Watch
    codec: Codec
    directory: Path
    say: Say


@contextmanager
def staged(
    plan: Plan,
    connect: Callable[[Settings], Log],
    say: Say,
    directory: Path,
    transaction_seconds: float = TRANSACTION_SECONDS,
    step: str = "any",
) -> Iterator[Stage]:
    """Starts proxy, Kafka, topics and workers; ends them all.

    Args:
        plan: how many of what.
        connect: a log from settings.
        say: prints a line of progress.
        directory: for logs, state and Kafka's data.
        transaction_seconds: until the broker ends a transaction.
        step: of a commit, at which workers can be killed.
    """
    with ExitStack() as stack:
        found = ports.free(2 * plan.brokers)
        told, hidden = found[: plan.brokers], found[plan.brokers :]
        proxy = Proxy(told, hidden)
        proxy.start()
        stack.callback(proxy.stop)
        cluster = devkafka.Cluster(
            plan.brokers,
            directory / "kafka",
            hidden,
            _broker_settings(plan.brokers),
            progress=say,
            advertised=told,
            controller_apart=plan.brokers == 1,
        )
        stack.enter_context(cluster)
        environment = {
            "PMSTREAM_BOOTSTRAP_SERVERS": proxy.addresses,
            "PMSTREAM_SESSION_TIMEOUT_MS": str(int(SESSION_SECONDS * 1000)),
            "PMSTREAM_TRANSACTION_TIMEOUT_MS": str(int(transaction_seconds * 1000)),
            # As where it is installed: a worker that is started again compiles nothing.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(directory / "pycache"),
        }
        settings = Settings.load(
            bootstrap_servers=proxy.addresses,
            inbox_partitions=PARTITIONS,
            session_timeout_ms=int(SESSION_SECONDS * 1000),
        )
        log, codec = connect(settings), Codec(app)
        topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
        starts.set_starts(app, log, starts.find_starts(app, log))
        bank.set_start(log)
        loader = Loader(log, codec.encode_event, plan.seed, plan.rate, PARTITIONS)
        watch = stack.enter_context(
            closing(Watch(log, codec.decode, PARTITIONS, loader.canaries_sent))
        )
        fleet = Fleet(plan.workers, directory, environment, say, step)
        stack.callback(fleet.end)
        brokers = Brokers(cluster, plan.brokers)
        stack.callback(brokers.wait)
        yield Stage(log, proxy, brokers, fleet, loader, watch, codec, directory, say)


def _broker_settings(brokers: int) -> dict[str, str]:
    session = {"broker.session.timeout.ms": str(int(BROKER_SESSION_SECONDS * 1000))}
    return {**session, **(ALONE if brokers == 1 else {})}


def await_members(stage: Stage, workers: int) -> None:
    """Returns when all workers have joined. Raises PmstreamError."""
    until = time.monotonic() + JOIN_SECONDS
    wanted = {NAMES.group("router"): ROUTERS, NAMES.group("instances"): workers, bank.GROUP: 1}
    while any(len(stage.log.members(group)) < number for group, number in wanted.items()):
        stage.fleet.turn()
        if stage.fleet.gave_up or time.monotonic() > until:
            raise PmstreamError(f"the workers do not join: {stage.fleet.gave_up or 'too slow'}")
        time.sleep(0.2)


def turn(stage: Stage) -> None:
    """One round of what has to go on all the time. Raises PmstreamError: it is hopeless."""
    stage.fleet.turn()
    for fault in stage.watch.turn(0.05):
        stage.say(f"        recovered from {fault.kind} {fault.what} in {fault.recovery:.1f} s")
    broken = stage.brokers.failure or stage.loader.failure
    if broken is not None:
        raise PmstreamError(f"the run itself broke: {broken}") from broken
    if stage.fleet.gave_up:
        raise PmstreamError(f"a process manager gave up: {stage.fleet.gave_up}")
