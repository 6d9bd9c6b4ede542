"""What a compacted topic says: the last value of each key.

The bank's balances and outcomes are such tables; whoever takes over reads them first.
"""

from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log, TopicPartition
from pmstream.runtime.log_errors import Unavailable

_AT_ONCE = 1_000
_PATIENCE_SECONDS, _DEADLINE_SECONDS = 0.1, 60.0


def read_table(log: Log, clock: Clock, topic: str) -> dict[bytes, bytes]:
    """Key to last value of a topic, as committed. Raises Unavailable."""
    until = clock.monotonic() + _DEADLINE_SECONDS
    left = {TopicPartition(topic, number) for number in range(log.topics()[topic].partitions)}
    table: dict[bytes, bytes] = {}
    reader = log.reader()
    try:
        reader.assign({each: log.start(each) or 0 for each in left})
        while left:
            for record in reader.read(_AT_ONCE, _PATIENCE_SECONDS):
                table[record.key or b""] = record.value or b""
            for each in tuple(left):
                end = log.end(each, stable=False)
                if end is not None and (reader.position(each) or 0) >= end:
                    left.discard(each)
            if clock.monotonic() > until:
                raise Unavailable(f"{topic} cannot be read to its end")
    finally:
        reader.close()
    return table
