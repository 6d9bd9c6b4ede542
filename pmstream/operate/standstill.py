"""A generation that stands still: nobody is in its groups, and nothing moves its positions."""

from collections.abc import Iterator
from contextlib import closing

from pmstream.app import App, Names
from pmstream.errors import Busy
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Committed, Consumer, Log, TopicPartition
from pmstream.runtime.log_errors import OffsetPending

PENDING_SECONDS = 90.0
"""So long an open transaction is waited for: longer than the broker lets one be open."""

_ASK_SECONDS, _PAUSE_SECONDS = 1.0, 0.1


def check_members(log: Log, app: App, names: Names) -> None:
    """Raises Busy while workers of a generation run."""
    for role in app.roles(names.process_manager):
        members = log.members(names.group(role))
        if members:
            raise Busy(
                f"workers of {names.process_manager} run: stop {', '.join(members)} (group "
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
