"""A generation that stands still: nobody is in its groups, and nothing moves its positions.

And topics for the next one.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing

from pmstream.app import App, Names
from pmstream.errors import Busy, Unreachable
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Committed, Consumer, Log, TopicPartition, TopicSpec
from pmstream.runtime.log_errors import OffsetPending

PENDING_SECONDS = 90.0
"""So long an open transaction is waited for: longer than the broker lets one be open."""

LEADER_SECONDS = 30.0
"""So long a topic that was made may have no leader."""

_ASK_SECONDS, _PAUSE_SECONDS = 1.0, 0.1


def check_members(log: Log, app: App, names: Names) -> None:
    """Raises Busy while workers of a generation run."""
    for running in members(log, app, names):
        raise Busy(running)


def members(log: Log, app: App, names: Names) -> Iterator[str]:
    """A sentence for each group that has members."""
    for role in app.roles(names.process_manager):
        found = log.members(names.group(role))
        if found:
            yield (
                f"workers of {names.process_manager} run: stop {', '.join(found)} (group "
                f"{names.group(role)}); a static member that was killed counts until its session "
                "ends"
            )


def places(log: Log, app: App, names: Names) -> dict[str, list[TopicPartition]]:
    """Each group, and all partitions that it reads."""
    existing, keyed = log.topics(), app.manager(names.process_manager).keyed
    topics = {names.group("instances"): [keyed or names.inbox]}
    if keyed is None:
        topics[names.group("router")] = list(app.events)
    return {
        group: [
            TopicPartition(topic, number)
            for topic in some
            if topic in existing
            for number in range(existing[topic].partitions)
        ]
        for group, some in topics.items()
    }


def stable(
    log: Log, group: str, places: list[TopicPartition], clock: Clock
) -> dict[TopicPartition, Committed]:
    """The group's positions, none of which an open transaction may still move.

    Raises:
        Busy: a transaction stays open.
    """
    with closing(log.consumer(group)) as consumer:  # it never joins
        return dict(_committed(consumer, group, places, clock))


def _committed(
    consumer: Consumer, group: str, places: list[TopicPartition], clock: Clock
) -> Iterator[tuple[TopicPartition, Committed]]:
    until = clock.monotonic() + PENDING_SECONDS
    for place in places:
        while True:
            try:
                found = consumer.committed(place, _ASK_SECONDS)
            except OffsetPending:
                if clock.monotonic() > until:
                    raise Busy(
                        f"group {group}: an open transaction moves its position in {place.topic}-"
                        f"{place.partition}, or its coordinator is away: try again in a minute"
                    ) from None
                clock.sleep(_PAUSE_SECONDS)
                continue
            break
        if found is not None:
            yield place, found


def make_topics(log: Log, specs: Sequence[TopicSpec], clock: Clock) -> None:
    """Makes those topics that are missing, and waits until all can be used.

    Raises:
        Unreachable: one has no leader.
        Refused, Unavailable: the cluster.
    """
    existing = log.topics()
    log.create_topics([each for each in specs if each.name not in existing])
    until = clock.monotonic() + LEADER_SECONDS
    for each in specs:
        while not _is_led(log, each.name):
            if clock.monotonic() > until:
                raise Unreachable(f"{each.name} was made, but has no leader: try again")
            clock.sleep(_PAUSE_SECONDS)


def _is_led(log: Log, topic: str) -> bool:
    info = log.topics().get(topic)
    count = info.partitions if info is not None else 0
    places = [TopicPartition(topic, number) for number in range(count)]
    return bool(places) and all(log.end(each, stable=True) is not None for each in places)
