"""What must have come out: a fold of the core over what was committed.

Rule: it knows the core, and neither worker nor store. Retries are done at once: behaviours depend
on attempts, and a failing instance holds back only itself, so time changes nothing.
"""

from collections.abc import Iterator

from msgspec import Struct

from pmstream.core import engine, process
from pmstream.core.engine import Arrived, Due, Entry, Take, Waiting
from pmstream.core.instance import Instance, Wait, Work, load_instance, load_work
from pmstream.core.lifecycle import DueKind
from pmstream.core.messages import Emitted, Headers, Routed, metadata_of
from pmstream.core.routing import CREATING
from pmstream.runtime.inbox import read_inbox
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.store import backlog_key, instance_key
from tests.simulation.author import author, make_app, make_codec

Delivery = tuple[int, int, str, str]
"""(offset, index, process UUID, route) of one inbox record of a source partition."""

Told = list[tuple[bytes, bytes, Headers]]
"""(id, value, headers) of the commands of one process."""


class Life(Struct):
    """One process in the model."""

    instance: Instance | None = None
    backlog: dict[int, Work] = {}
    commands: list[Emitted] = []


class Model:
    """The instances of all partitions, as the core alone makes them."""

    def __init__(self) -> None:
        self._callbacks = process.bind(author())
        self._coder = make_codec(make_app())
        self.lives: dict[str, Life] = {}

    def arrive(self, routed: Routed) -> None:
        """An input is read, and all that follows from it happens at once."""
        life = self.lives.setdefault(routed.process_uuid, Life())
        self._advance(life, Arrived(routed), 0)
        while life.instance is not None and (work := life.instance.work) is not None:
            if work.wait is not Wait.RETRY or work.not_started:
                return
            self._advance(life, Due(DueKind.RETRY, routed.process_uuid), work.due)

    def _advance(self, life: Life, input: engine.Input, now: int) -> None:
        while True:
            step = engine.step(self._callbacks, life.instance, input, now, self._coder, 1_000_000)
            assert step.halt is None, step.halt
            life.instance = step.instance
            life.commands.extend(step.commands)
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


def expected_deliveries(source: dict[int, list[Record]]) -> dict[int, list[Delivery]]:
    """What the routers must make of each source partition."""
    callbacks, coder = process.bind(author()), make_codec(make_app())
    found: dict[int, list[Delivery]] = {}
    for partition, records in source.items():
        found[partition] = []
        for record in records:
            routed = _as_read(record)
            event = coder.decode_event(routed)
            routing = engine.route(callbacks, event, metadata_of(routed, callbacks.name), 0)
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
) -> Iterator[str]:
    """Commands and state of each process are what the core makes of its inputs."""
    model = Model()
    for _, records in sorted(inbox.items()):
        for record in records:
            model.arrive(read_inbox(record))
    found: dict[str, Told] = {}
    for record in (each for part in commands.values() for each in part):
        headers = dict(record.headers)
        told = (headers["command-id"] or b"", record.value or b"", record.headers)
        found.setdefault((record.key or b"").decode(), []).append(told)
    for uuid in sorted({*model.lives, *found}):
        life = model.lives.get(uuid, Life())
        wanted = [(each.id.encode(), each.value, each.headers) for each in life.commands]
        if wanted != found.get(uuid, []):
            yield difference(f"commands of {uuid}", wanted, found.get(uuid, []))
        backlog = [life.backlog[each] for each in sorted(life.backlog)]
        model_view = _view(life.instance, backlog)
        record_bytes = changelog.get(instance_key(uuid))
        instance = load_instance(record_bytes) if record_bytes is not None else None
        state = _view(instance, list(_stored_backlog(uuid, instance, changelog)))
        if model_view != state:
            yield f"state of {uuid}:\n  core: {model_view}\n  here: {state}"


def _stored_backlog(
    uuid: str, instance: Instance | None, changelog: dict[bytes, bytes]
) -> Iterator[Work]:
    if instance is not None:
        for sequence in range(instance.backlog.first, instance.backlog.next):
            record = changelog.get(backlog_key(uuid, sequence))
            if record is not None:
                yield load_work(record)


def _view(instance: Instance | None, backlog: list[Work]) -> object:
    """What of an instance must not depend on time."""
    if instance is None:
        return None
    works = [instance.work, *backlog] if instance.work is not None else [None, *backlog]
    return (
        (str(instance.status), instance.state, instance.born, instance.backlog.size),
        [(each.input, each.wait, each.not_started, each.reason) for each in works if each],
    )


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
