"""The bank of a chaos run: does each command and tells it by one event, exactly once.

It is a stage in the loop that routers and instances workers run in, so it dies, stalls and is
fenced at the same steps as they are.
"""

from collections.abc import Sequence

from msgspec import Struct

from pmstream.chaos.counter import ANSWERS, COMMANDS, app
from pmstream.chaos.messages import Count, Counted
from pmstream.config import Settings
from pmstream.operate.bounds import bounds
from pmstream.runtime.clock import Clock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import Out, Probe, Slice
from pmstream.runtime.log import Committed, Consumer, Log, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.sources import Note, Positions, Share, Source, dump_note
from pmstream.runtime.stage import Load
from pmstream.runtime.takeover import Takeover
from pmstream.runtime.worker import Identity, Worker

GROUP = f"{app.name}.bank"


class BankStage:
    """Answers the commands of the partitions that it owns.

    Args:
        topic_id: of the command topic.
        owner: its transactional id.
        positions: finds where to read on.
    """

    def __init__(self, topic_id: str, owner: str, positions: Positions) -> None:
        self.topics: Sequence[str] = [COMMANDS]
        self.halt = ""
        self._topic_id, self._owner, self._positions = topic_id, owner, positions
        self._codec = Codec(app)
        self._sources: dict[TopicPartition, Source] = {}

    def is_running(self, where: TopicPartition) -> bool:
        """Whether its commands are answered here."""
        source = self._sources.get(where)
        return source is not None and source.ready

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` finds their positions."""
        self._sources.update((each, Source(each)) for each in partitions)

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions and what they staged."""
        for each in partitions:
            self._sources.pop(each, None)

    def dropped_all(self) -> None:
        """Lets go of every partition."""
        self._sources.clear()

    def catch_up(self, consumer: Consumer) -> None:
        """Finds the position of each new partition, then reads it."""
        for each in self._sources.values():
            try:
                if not each.ready:
                    self._positions.find(each, consumer)
            except Unavailable:
                return  # the next turn asks again

    def take(self, record: Record) -> None:
        """Puts a command into its partition's queue."""
        source = self._sources.get(TopicPartition(record.topic, record.partition))
        if source is not None:
            source.take(record)

    def process(self, now: int, room: int) -> None:
        """Answers what is at hand, up to `room` commands."""
        del now
        room -= sum(each.cursor for each in self._sources.values())
        for each in self._sources.values():
            for record in each.queue[each.cursor : each.cursor + max(room, 0)]:
                out = _answer(self._codec, record)
                each.out.append(out)
                each.size += len(out.value or b"")
                each.cursor, room = each.cursor + 1, room - 1

    def load(self) -> Load:
        """How much is at hand and staged."""
        sources = [each for each in self._sources.values() if each.ready]
        return Load(
            waiting=sum(len(each.queue) - each.cursor for each in sources),
            staged=sum(each.cursor for each in sources),
            staged_bytes=sum(each.size for each in sources),
            busy=len(sources) < len(self._sources),
        )

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition of which commands were answered."""
        del generation
        sources = self._sources.values()
        return [Share(each, self._owner, self._topic_id) for each in sources if each.cursor]

    def rollback(self) -> None:
        """Drops what is staged; the commands stay."""
        for each in self._sources.values():
            each.forget()

    def restart(self, consumer: Consumer) -> None:
        """Reads every position again."""
        consumer.pause([each.place for each in self._sources.values() if each.ready])
        for each in self._sources.values():
            each.stop()

    def close(self) -> None:
        """Lets go of all it holds."""
        self.dropped_all()


def make_bank(name: str, log: Log, settings: Settings, clock: Clock, probe: Probe) -> Worker:
    """A bank, ready to turn. Raises Unavailable."""
    identity = Identity(GROUP, f"{GROUP}.{name}", name)
    ids = {COMMANDS: log.topics()[COMMANDS].id}
    takeover = Takeover(log, clock, identity.transactional_id)
    positions = Positions(log, GROUP, ids, takeover, clock)
    stage = BankStage(ids[COMMANDS], identity.transactional_id, positions)
    return Worker(log, stage, identity, settings, clock, probe)


def set_start(log: Log) -> None:
    """The bank begins with the first command."""
    topic = log.topics()[COMMANDS]
    note = dump_note(Note("chaos", topic.id))
    starts = {place: Committed(start, note) for place, (start, _) in bounds(log, topic).items()}
    log.set_positions(GROUP, starts)


def _answer(codec: Codec, record: Record) -> Out:
    command = codec.decode_command(COMMANDS, record.value or b"")
    assert isinstance(command, Count)
    event: Struct = Counted(process=command.process, count=command.count, number=command.number)
    id = dict(record.headers).get("command-id") or b""
    headers = (("event-id", id + b"/done"), ("causation-id", id))
    return Out(ANSWERS, command.process.encode(), codec.encode_event(ANSWERS, event), headers)
