"""The demo's topics, on a cluster that has none of them yet."""

from pmstream.cli.demo_cast import PLAIN, Cast
from pmstream.cli.demo_load import TRANSFERS
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.examples.bank import BALANCES, GROUP, OUTCOMES, OUTCOMES_KEPT_MS
from pmstream.operate import starts, topics
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Consumer, Log, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import OffsetPending, Unavailable

PARTITIONS = 6

_COORDINATOR_SECONDS = 60.0


def make_topics(log: Log, clock: Clock, settings: Settings, cast: Cast = PLAIN) -> None:
    """Makes all topics and sets the router's start.

    Raises:
        ConfigurationError: some are there already: what is in them would count.
    """
    known, app = log.topics(), cast.app
    mine = [each.spec.name for each in topics.wanted(app, log, settings)]
    old = [topic for topic in (*mine, BALANCES, OUTCOMES) if topic in known]
    if old:
        raise ConfigurationError(
            f"the cluster has topics of an earlier demo ({', '.join(old)}): delete them, or leave "
            "out --bootstrap-servers for a Kafka of its own"
        )
    topics.carry_out(topics.plan(app, log, settings, create_missing=True), log)
    log.create_topics(
        [
            TopicSpec(BALANCES, PARTITIONS, {"cleanup.policy": "compact"}),
            TopicSpec(OUTCOMES, PARTITIONS, {"retention.ms": str(OUTCOMES_KEPT_MS)}),
        ]
    )
    _await_coordinators(log, clock, cast)
    starts.set_starts(app, log, starts.find_starts(app, log))


def _await_coordinators(log: Log, clock: Clock, cast: Cast) -> None:
    """A fresh cluster makes the home of the groups' positions when the first one asks.

    Asked by a consumer, because librdkafka's admin client crashes in that moment (its issue 5040).
    """
    for group in (cast.names.group("router"), cast.names.group("instances"), GROUP):
        consumer = log.consumer(group)
        try:
            _ask(consumer, clock)
        finally:
            consumer.close()


def _ask(consumer: Consumer, clock: Clock) -> None:
    until = clock.monotonic() + _COORDINATOR_SECONDS
    while True:
        try:
            consumer.committed(TopicPartition(TRANSFERS, 0), 1.0)
        except OffsetPending as error:
            if clock.monotonic() > until:
                raise Unavailable(str(error)) from error
            clock.sleep(0.1)
        else:
            return
