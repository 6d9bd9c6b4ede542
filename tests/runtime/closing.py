"""Members that close at every moment of their joining: `python -m tests.runtime.closing BOOTSTRAP`.

A process of its own: one that hangs in librdkafka keeps Python's lock, and could fail no test.
This one ends then, and tells where it stood.
"""

import faulthandler
import sys
import time
from collections.abc import Sequence
from random import Random
from uuid import uuid4

from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import Fault, TopicPartition, TopicSpec

MEMBERS = 40
JOINED_SECONDS = 0.35
"""Later than this a member has what it is given."""
PATIENCE_SECONDS = 60


class Deaf:
    """A listener that does nothing."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None: ...

    def revoked(self, partitions: Sequence[TopicPartition]) -> None: ...

    def lost(self, partitions: Sequence[TopicPartition]) -> None: ...

    def fault(self, fault: Fault) -> None: ...


def main(bootstrap: str) -> None:
    """One member a group, which never gathers."""
    faulthandler.dump_traceback_later(PATIENCE_SECONDS, exit=True)
    log, topic, random = KafkaLog(bootstrap, session_timeout_ms=6_000), str(uuid4()), Random(1)
    log.create_topics([TopicSpec(topic, 3)])
    for number in range(MEMBERS):
        member = log.consumer(f"{topic}-{number}", "w-0")
        member.subscribe([topic], Deaf())
        time.sleep(random.uniform(0, JOINED_SECONDS))
        member.close()


if __name__ == "__main__":
    main(sys.argv[1])
