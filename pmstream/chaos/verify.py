"""The verdict, from the topics alone: what is lost, doubled, out of order, or of another state.

Three independent looks: the counter's own rule says which commands a source record must make; the
router's function says where it must be routed; the fold of the core says what the rest must be.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from pmstream.chaos.counter import ANSWERS, COMMANDS, SOURCE, app
from pmstream.chaos.fleet import NAMES
from pmstream.chaos.messages import Count, Counted, Ended, Spread, Ticked
from pmstream.chaos.oracle import Expected, Oracle
from pmstream.chaos.reading import read_topic
from pmstream.core import engine, process
from pmstream.core.messages import Routed
from pmstream.runtime.codec import Codec
from pmstream.runtime.inbox import own_headers, read_inbox
from pmstream.runtime.log import Log, Record
from pmstream.runtime.store import INSTANCE

_SHOWN = 3


class Verdict(Struct, kw_only=True):
    """What was found.

    Attributes:
        events: records in the source topic.
        commands: in the command topic.
        lost: routed events or commands that are missing.
        duplicated: those that are there again.
        misordered: counters with a gap or a repeat, events of one key out of order.
        state_mismatches: instances and stores that are not what the fold leaves.
        open: what is still under way.
        faults: one sentence for each kind of fault.
    """

    events: int = 0
    commands: int = 0
    lost: int = 0
    duplicated: int = 0
    misordered: int = 0
    state_mismatches: int = 0
    open: int = 0
    faults: list[str] = []

    def blame(self, what: str, examples: Sequence[object]) -> int:
        """Notes a fault for each example; answers how many."""
        if examples:
            shown = "; ".join(str(each) for each in examples[:_SHOWN])
            self.faults.append(f"{len(examples)} {what}, such as {shown}")
        return len(examples)


def verify(log: Log, verdict: Verdict) -> dict[int, list[Record]]:
    """Reads all topics and completes the verdict; answers the changelog, by partition.

    Raises:
        Unreachable: a topic cannot be read.
    """
    codec = Codec(app)
    source = _flat(read_topic(log, SOURCE))
    answers = _flat(read_topic(log, ANSWERS))
    inbox = read_topic(log, NAMES.inbox)
    commands = _flat(read_topic(log, COMMANDS))
    changelog = read_topic(log, NAMES.changelog)
    verdict.events, verdict.commands = len(source), len(commands)
    decoded = [(each, codec.decode(SOURCE, each.value or b"")) for each in source]
    answered = [(each, codec.decode(ANSWERS, each.value or b"")) for each in answers]
    routed = [read_inbox(each) for each in _flat(inbox)]
    _check_routed(verdict, [*decoded, *answered], routed)
    _check_commands(verdict, decoded, commands, codec)
    _check_answers(verdict, commands, answered, codec)
    manager = app.manager(NAMES.process_manager)
    expected = Oracle(process.bind(manager), codec).fold(routed)
    _check_fold(verdict, expected, commands, changelog)
    letters = _flat(read_topic(log, NAMES.dead_letters))
    verdict.blame("dead letters", letters)
    return changelog


def _flat(topic: Mapping[int, Sequence[Record]]) -> list[Record]:
    return [each for number in sorted(topic) for each in topic[number]]


def _check_routed(
    verdict: Verdict, source: Iterable[tuple[Record, object]], routed: Iterable[Routed]
) -> None:
    """Each source record has to be in the inbox once for each process, in order."""
    callbacks = process.bind(app.manager(NAMES.process_manager))
    wanted: Counter[tuple[str, str]] = Counter()
    for record, event in source:
        for uuid in engine.route(callbacks, event, record, own_headers(record.headers), 0).ids:
            wanted[uuid, f"{record.topic}-{record.partition}-{record.offset}"] += 1
    found: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str, int], int] = {}
    disorder = []
    for each in routed:
        found[each.process_uuid, each.cause] += 1
        line = (each.process_uuid, each.topic, each.partition)
        if each.offset < last.get(line, -1):
            disorder.append(f"{each.process_uuid} {each.cause}")
        last[line] = each.offset
    _compare(verdict, "routed events", wanted, found)
    verdict.misordered += verdict.blame("routed events out of order", disorder)


def _check_commands(
    verdict: Verdict,
    source: Iterable[tuple[Record, object]],
    commands: Iterable[Record],
    codec: Codec,
) -> None:
    """One command for each event and counter; counters without gap or repeat."""
    wanted: Counter[tuple[str, str]] = Counter()
    ends: Counter[str] = Counter()
    for record, event in source:
        place = f"{record.topic}-{record.partition}-{record.offset}"
        match event:
            case Ticked(process=uuid):
                wanted[uuid, place] += 1
            case Spread(processes=several):
                wanted.update((uuid, place) for uuid in several)
            case Ended(process=uuid):
                ends[uuid] += 1
    found: Counter[tuple[str, str]] = Counter()
    counts: dict[str, int] = {}
    lives: Counter[str] = Counter()
    disorder = []
    for record in commands:
        uuid, place, _ = (dict(record.headers).get("command-id") or b"//").decode().split("/")
        found[uuid, place] += 1
        command = codec.decode_command(COMMANDS, record.value or b"")
        assert isinstance(command, Count)
        before = counts.get(uuid, 0)
        counts[uuid] = command.count
        lives[uuid] += command.count == 1
        if command.count not in (before + 1, 1) or command.process != uuid:
            disorder.append(f"{uuid}: {before} is followed by {command.count} ({place})")
    disorder += [
        f"{uuid}: began {lives[uuid]} times, ended {ends[uuid]} times"
        for uuid in lives
        if lives[uuid] > ends[uuid] + 1
    ]
    _compare(verdict, "commands", wanted, found)
    verdict.misordered += verdict.blame("counters with a gap or a repeat", disorder)


def _check_answers(
    verdict: Verdict,
    commands: Iterable[Record],
    answers: Iterable[tuple[Record, object]],
    codec: Codec,
) -> None:
    """The bank has told of each command once, and of each counter's in their order."""
    asked: dict[str, list[tuple[str, int]]] = {}
    told: dict[str, list[tuple[str, int]]] = {}
    for record in commands:
        command = codec.decode_command(COMMANDS, record.value or b"")
        assert isinstance(command, Count)
        id = (dict(record.headers).get("command-id") or b"").decode()
        asked.setdefault(command.process, []).append((id, command.count))
    for record, event in answers:
        assert isinstance(event, Counted)
        id = (dict(record.headers).get("causation-id") or b"").decode()
        told.setdefault(event.process, []).append((id, event.count))
    wanted = Counter((uuid, id) for uuid, each in asked.items() for id, _ in each)
    found = Counter((uuid, id) for uuid, each in told.items() for id, _ in each)
    _compare(verdict, "answers of the bank", wanted, found)
    disorder = [uuid for uuid, each in asked.items() if told.get(uuid, each) != each]
    verdict.misordered += verdict.blame("counters whose answers are not its commands", disorder)


def _compare(
    verdict: Verdict,
    what: str,
    wanted: Counter[tuple[str, str]],
    found: Counter[tuple[str, str]],
) -> None:
    lost = [" ".join(each) for each in (wanted - found).elements()]
    again = [" ".join(each) for each in (found - wanted).elements()]
    verdict.lost += verdict.blame(f"{what} lost", lost)
    verdict.duplicated += verdict.blame(f"{what} duplicated, or of no event", again)


def _check_fold(
    verdict: Verdict,
    expected: Expected,
    commands: Iterable[Record],
    changelog: Mapping[int, Sequence[Record]],
) -> None:
    """The last of the changelog, and each process' commands, are what the fold leaves."""
    last: dict[bytes, bytes | None] = {}
    for each in _flat(changelog):
        if each.key is not None and each.key[:1] == INSTANCE:
            last[each.key] = each.value
    states = {key[1:].decode(): value for key, value in last.items() if value is not None}
    wrong = [
        f"{uuid}: {states.get(uuid)!r} instead of {expected.states.get(uuid)!r}"
        for uuid in sorted(states.keys() | expected.states.keys())
        if states.get(uuid) != expected.states.get(uuid)
    ]
    verdict.state_mismatches += verdict.blame("instances not equal to the fold", wrong)
    made: dict[str, list[tuple[bytes, bytes]]] = {}
    for record in commands:
        id = dict(record.headers).get("command-id") or b""
        uuid = id.partition(b"/")[0].decode()
        made.setdefault(uuid, []).append((id, record.value or b""))
    differ = [
        uuid
        for uuid, emitted in expected.commands.items()
        if [(each.id.encode(), each.value) for each in emitted] != made.get(uuid, [])
    ]
    verdict.state_mismatches += verdict.blame("processes whose commands are not the fold's", differ)
