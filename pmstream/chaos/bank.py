"""The bank of a chaos run: does each command and tells it by one event, exactly once.

It is a stage in the loop that routers and instances workers run in, so it dies, stalls and is
fenced at the same steps as they are.
"""

from collections.abc import Mapping

from msgspec import Struct

from pmstream.chaos.counter import ANSWERS, COMMANDS, app
from pmstream.chaos.messages import Count, Counted
from pmstream.config import Settings
from pmstream.operate.bounds import bounds
from pmstream.runtime.clock import Clock
from pmstream.runtime.codec import Codec
from pmstream.runtime.commit import Out, Probe
from pmstream.runtime.log import Committed, Log, Record
from pmstream.runtime.source_stage import SourceStage, Told
from pmstream.runtime.sources import Note, Positions, Source, dump_note
from pmstream.runtime.takeover import Takeover
from pmstream.runtime.worker import Identity, Worker

GROUP = f"{app.name}.bank"


class BankStage(SourceStage):
    """Answers the commands of the partitions that it owns."""

    def __init__(
        self, topic_ids: Mapping[str, str], owner: str, positions: Positions, told: Told
    ) -> None:
        super().__init__(topic_ids, owner, positions, told)
        self._codec = Codec(app)

    def handle(self, source: Source, record: Record, early: object, now: int) -> bool:
        """Stages the answer to a command."""
        out = _answer(self._codec, record)
        source.out.append(out)
        source.size += len(out.value or b"")
        return True


def make_bank(
    name: str, log: Log, settings: Settings, clock: Clock, told: Told, probe: Probe
) -> Worker:
    """A bank, ready to turn. Raises Unavailable."""
    identity = Identity(GROUP, f"{GROUP}.{name}", name)
    ids = {COMMANDS: log.topics()[COMMANDS].id}
    takeover = Takeover(log, clock, identity.transactional_id)
    positions = Positions(log, GROUP, ids, takeover, clock)
    stage = BankStage(ids, identity.transactional_id, positions, told)
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
