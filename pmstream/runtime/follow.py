"""Reads what else feeds an instances worker's partitions: topics that no group subscribes to.

Their positions stand in the commit records; a group's offsets of topics that it does not subscribe
to would expire.
"""

from collections.abc import Mapping

from pmstream.runtime.log import Log, Reader, Record, TopicPartition
from pmstream.runtime.log_errors import PositionLost


class Follower:
    """Follows one topic, in the partitions that run here.

    Args:
        log: the cluster.
        topic: with as many partitions as the inbox.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log, self._topic = log, topic
        self._reader: Reader | None = None
        self._positions: dict[int, int] = {}

    def follow(self, positions: Mapping[int, int]) -> None:
        """Reads exactly these partitions, those that are new from these positions."""
        if positions.keys() == self._positions.keys():
            return
        self._positions = {
            number: self._positions.get(number, position) for number, position in positions.items()
        }
        self._assign()

    def leave(self, number: int) -> None:
        """Forgets a partition: it will be read from a position that is given anew."""
        if self._positions.pop(number, None) is not None:
            self._assign()

    def read(self, max_records: int) -> list[Record]:
        """Records at hand. What expired here is read from its beginning on."""
        if self._reader is None or not self._positions:
            return []
        try:
            records = self._reader.read(max_records, 0)
        except PositionLost as error:
            number = error.where[1]
            start = self._log.start(TopicPartition(self._topic, number))
            if start is not None:
                self._positions[number] = start
                self._assign()
            return []
        for record in records:
            self._positions[record.partition] = record.offset + 1
        return records

    def position(self, number: int) -> int | None:
        """The offset to read next, past markers; None when unknown."""
        if self._reader is None:
            return None
        return self._reader.position(TopicPartition(self._topic, number))

    def close(self) -> None:
        """Frees the reader."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._positions = {}

    def _assign(self) -> None:
        if self._reader is None:
            self._reader = self._log.reader()
        topic = self._topic
        self._reader.assign(
            {TopicPartition(topic, number): at for number, at in self._positions.items()}
        )
