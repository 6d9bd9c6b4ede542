"""What must have come out: a fold of the core over what was committed.

Rule: it knows the core, and neither worker nor store. Retries and replies are done at once:
behaviours depend on attempts and commands, and a failing instance holds back only itself, so time
changes nothing. Timers never fire here: each one set must have fired, or something was in its way.
"""

from collections.abc import Iterator

from msgspec import Struct

from pmstream.core import engine, process
from pmstream.core.engine import Arrived, Due, Entry, Reply, Take, Waiting
from pmstream.core.instance import Instance, Status, Wait, Work, load_instance, load_work
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import (
    REPLY_PARTITION,
    REPLY_TO,
    Emitted,
    Headers,
    Routed,
    Timed,
)
from pmstream.core.routing import CREATING
from pmstream.runtime.inbox import read_inbox
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import backlog_key, instance_key
from tests.simulation.author import author, make_app, make_codec
from tests.simulation.book import TimerId, timer_of
from tests.simulation.services import REASON, verdict_of

Delivery = tuple[int, int, str, str]
"""(offset, index, process UUID, route) of one inbox record of a source partition."""

Told = list[tuple[bytes, bytes, Headers]]
"""(id, value, headers) of the commands of one process."""


class Life(Struct):
    """One process in the model; `timers` are all that were ever set."""

    uuid: str
    instance: Instance | None = None
    backlog: dict[int, Work] = {}
    commands: dict[str, Emitted] = {}
    timers: set[TimerId] = set()


class Model:
    """The instances of all partitions, as the core alone makes them."""

    def __init__(self) -> None:
        self._callbacks = process.bind(author())
        self._coder = make_codec(make_app())
        self.lives: dict[str, Life] = {}

    def arrive(self, routed: Routed) -> None:
        """An input is read, and all that follows from it happens at once."""
        life = self.lives.setdefault(routed.process_uuid, Life(routed.process_uuid))
        self._advance(life, Arrived(routed), 0)
        while life.instance is not None and (work := life.instance.work) is not None:
            if work.wait is Wait.REPLY:
                self._advance(life, _reply(routed.process_uuid, work), work.due)
            elif work.wait is Wait.RETRY and not work.not_started:
                self._advance(life, Due(DueKind.RETRY, routed.process_uuid), work.due)
            else:
                return

    def _advance(self, life: Life, input: engine.Input, now: int) -> None:
        while True:
            step = engine.step(self._callbacks, life.instance, input, now, self._coder, 1_000_000)
            assert step.halt is None, step.halt
            life.instance = step.instance
            for command in step.commands:
                life.commands.setdefault(command.id, command)
            _note_timers(life)
            if step.put is not None:
                life.backlog[step.put.sequence] = step.put.work
            if step.taken is not None:
                del life.backlog[step.taken]
            entry = self._entry(life, step.take)
            if entry is None:
                return
            input = Waiting(entry)

    def _entry(self, life: Life, take: Take | None) -> Entry | None:
        for sequence in sorted(life.backlog) if take is not None else ():
            work = life.backlog[sequence]
            if take is Take.FIRST or work.input.route in CREATING:
                return Entry(sequence, work)
        return None


def _reply(uuid: str, work: Work) -> Due | Reply:
    command = work.pending[0]
    said = verdict_of(command.value)
    if said == "silent":
        return Due(DueKind.REPLY, uuid)
    return Reply(command.id, said == "accept", None if said == "accept" else REASON)


def _note_timers(life: Life) -> None:
    instance = life.instance
    for name, timer in instance.timers.pending.items() if instance is not None else ():
        assert instance is not None
        life.timers.add(TimerId(life.uuid, instance.born, name, timer.n))


def expected_deliveries(source: dict[int, list[Record]]) -> dict[int, list[Delivery]]:
    """What the routers must make of each source partition."""
    callbacks, coder = process.bind(author()), make_codec(make_app())
    found: dict[int, list[Delivery]] = {}
    for partition, records in source.items():
        found[partition] = []
        for record in records:
            routed = _as_read(record)
            event = coder.decode_event(routed)
            routing = engine.route(callbacks, event, routed, routed.headers, 0)
            if routing.route is not None:
                found[partition] += [
                    (record.offset, index, uuid, str(routing.route))
                    for index, uuid in enumerate(routing.ids)
                ]
    return found


def _as_read(record: Record) -> Routed:
    return Routed(
        process_uuid="",
        route="",
        value=record.value or b"",
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        index=0,
        timestamp=record.timestamp,
        headers=record.headers,
    )


def routing_faults(
    source: dict[int, list[Record]], inbox: dict[int, list[Record]], partitions: int
) -> Iterator[str]:
    """Each source record once, in order, in the partition of its process."""
    read = {part: [read_inbox(record) for record in records] for part, records in inbox.items()}
    for number, deliveries in expected_deliveries(source).items():
        for part in range(partitions):
            wanted = [
                each
                for each in deliveries
                if murmur2_partition(each[2].encode(), partitions) == part
            ]
            found = [
                (each.offset, each.index, each.process_uuid, str(each.route))
                for each in read.get(part, ())
                if each.partition == number
            ]
            if wanted != found:
                yield difference(f"inbox {part} from source {number}", wanted, found)


def instance_faults(
    inbox: dict[int, list[Record]],
    commands: dict[int, list[Record]],
    changelog: dict[bytes, bytes],
    fired: set[TimerId],
) -> Iterator[str]:
    """Commands, timers and state of each process are what the core makes of its inputs."""
    model = Model()
    for _, records in sorted(inbox.items()):
        for record in records:
            model.arrive(read_inbox(record))
    found = _told(commands)
    for uuid in sorted({*model.lives, *found}):
        life = model.lives.get(uuid, Life(uuid))
        wanted = [(each.id.encode(), each.value, each.headers) for each in life.commands.values()]
        if wanted != found.get(uuid, []):
            yield difference(f"commands of {uuid}", wanted, found.get(uuid, []))
        backlog = [life.backlog[each] for each in sorted(life.backlog)]
        model_view = _view(life.instance, backlog)
        record_bytes = changelog.get(instance_key(uuid))
        instance = load_instance(record_bytes) if record_bytes is not None else None
        state = _view(instance, list(_stored_backlog(uuid, instance, changelog)))
        if model_view != state:
            yield f"state of {uuid}:\n  core: {model_view}\n  here: {state}"
        yield from _timer_faults(life, instance, fired)


def _told(commands: dict[int, list[Record]]) -> dict[str, Told]:
    """The commands that events called for, each once: confirmed ones may come again."""
    found: dict[str, dict[bytes, tuple[bytes, bytes, Headers]]] = {}
    for record in (each for part in commands.values() for each in part):
        id = dict(record.headers)["command-id"] or b""
        if timer_of(id.decode()) is None:
            headers = tuple(each for each in record.headers if each[0] not in _ASKS)
            of_process = found.setdefault((record.key or b"").decode(), {})
            of_process.setdefault(id, (id, record.value or b"", headers))
    return {uuid: list(each.values()) for uuid, each in found.items()}


_ASKS = (REPLY_TO, REPLY_PARTITION)


def _timer_faults(life: Life, here: Instance | None, fired: set[TimerId]) -> Iterator[str]:
    """Each timer that nothing replaced, cancelled or ended has fired, or still waits in a queue."""
    ours = {each for each in fired if each.process == life.uuid}
    if not ours <= life.timers:
        yield f"timers of {life.uuid} that nobody set have fired: {sorted(ours - life.timers)}"
    if life.instance is None or not life.instance.exists:
        return
    set_here = here.timers.pending if here is not None else {}
    for name, timer in life.instance.timers.pending.items():
        id = TimerId(life.uuid, life.instance.born, name, timer.n)
        left = set_here.get(name)
        queued = left is not None and left.n == timer.n and left.queued
        if (id in fired) == queued:
            yield f"{id} has {'' if id in fired else 'not '}fired; it is here as {left}"


def _stored_backlog(
    uuid: str, instance: Instance | None, changelog: dict[bytes, bytes]
) -> Iterator[Work]:
    if instance is not None:
        for sequence in range(instance.backlog.first, instance.backlog.next):
            record = changelog.get(backlog_key(uuid, sequence))
            if record is not None:
                yield load_work(record)


def _view(instance: Instance | None, backlog: list[Work]) -> object:
    """What of an instance must not depend on time: timers and deadlines are left out."""
    if instance is None:
        return None
    works = [instance.work, *backlog] if instance.work is not None else [None, *backlog]
    events = [each for each in works if each and not isinstance(each.input, Timed)]
    if not instance.exists and not events and instance.status is not Status.COMPLETED:
        return None  # kept for a timer that came due, whose instance has ended since
    return (
        (str(instance.status), instance.state, instance.born, instance.timers.count),
        [(each.input, _waits(each), each.not_started, each.reason) for each in events],
    )


def _waits(work: Work) -> object:
    """A hold whose time is up is tried again and again, as the author says."""
    early = work.not_started or work.wait is Wait.START
    return work.wait if work.wait is Wait.OPERATOR or not early else Wait.START


def difference(what: str, wanted: object, found: object) -> str:
    """Where two lists part."""
    assert isinstance(wanted, list)
    assert isinstance(found, list)
    same = 0
    while same < min(len(wanted), len(found)) and wanted[same] == found[same]:
        same += 1
    return (
        f"{what}: {len(found)} instead of {len(wanted)}, the first {same} agree; then\n"
        f"  core: {wanted[same : same + 3]}\n  here: {found[same : same + 3]}"
    )
