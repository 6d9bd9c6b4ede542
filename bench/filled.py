"""A process manager that seems to have run: a full changelog, and the group's positions to it.

Rule: records, commit records and positions are those that workers write, by the same functions;
so a worker that restores from them cannot tell that nobody handled the events.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from bench.apps import NAME
from bench.job import Order, ShipOrder, command_of, make_event, process_name
from bench.stage import say
from pmstream.app import App, Names
from pmstream.core.instance import Instance, Status, dump_instance
from pmstream.runtime.changelog import COMMIT_KEY, CommitRecord, dump_commit
from pmstream.runtime.log import Committed, Log, TopicPartition
from pmstream.runtime.log_errors import Again
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.roles import INSTANCES
from pmstream.runtime.store import instance_key

TRANSACTION_RECORDS = 2_000
"""Instances of one transaction, as a worker under load commits them."""

_FILLER = "filler"
_BORN = "events-0-0"
_CALL_SECONDS, _TRIES = 2.0, 30
_SAID_EVERY = 200_000


def seeded(key: int, state_bytes: int = 200) -> Order:
    """The state that a key's process is in."""
    return Order(key % 9 + 1, key % 1_000, "open", _BORN, "z" * max(state_bytes - 100, 0))


def record_of(key: int, state_bytes: int = 200) -> bytes:
    """Its instance as the changelog has it."""
    state = msgspec.msgpack.encode(seeded(key, state_bytes))
    return dump_instance(Instance(status=Status.RUNNING, state=state, born=_BORN))


def fill(log: Log, app: App, keys: int, state_bytes: int = 200) -> None:
    """Writes an instance for each key, and where the group stands: before its source's first.

    Args:
        log: has the app's topics.
        app: the job's, whose group has no members.
        keys: how many.
        state_bytes: of each state, roughly.
    """
    names, keyed, topics = Names(app.name, NAME), app.manager(NAME).keyed, log.topics()
    source = keyed or names.inbox
    count, source_id = topics[names.changelog].partitions, topics[source].id if keyed else ""
    producer = log.producer(names.transactional_id(INSTANCES, _FILLER))
    sequences = [0] * count
    began = time.monotonic()
    for first in range(0, keys, TRANSACTION_RECORDS):
        producer.begin()
        touched = set()
        for key in range(first, min(first + TRANSACTION_RECORDS, keys)):
            process = process_name(key)
            number = murmur2_partition(process.encode(), count)
            touched.add(number)
            value = record_of(key, state_bytes)
            producer.produce(names.changelog, value, instance_key(process), (), number)
        for number in sorted(touched):
            sequences[number] += 1
            record = _commit(producer.transactional_id, sequences[number], count, source_id)
            producer.produce(names.changelog, dump_commit(record), COMMIT_KEY, (), number)
        _until_done(producer.flush)
        _until_done(producer.commit)
        if first and first % _SAID_EVERY == 0:
            say(f"  {first} of {keys} instances written")
    producer.drop()
    log.set_positions(
        names.group(INSTANCES),
        {
            TopicPartition(source, number): Committed(0, str(sequence))
            for number, sequence in enumerate(sequences)
            if sequence
        },
    )
    say(f"  {keys} instances are in {names.changelog} after {time.monotonic() - began:.0f} s")


def _commit(owner: str, sequence: int, partitions: int, source_id: str) -> CommitRecord:
    return CommitRecord(
        source=0,
        sequence=sequence,
        owner=owner,
        generation=1,
        partitions=partitions,
        version="bench",
        time=time.time_ns() // 1_000_000,
        seen={},
        source_id=source_id,
    )


def _until_done(call: Callable[[float], None]) -> None:
    for left in reversed(range(_TRIES)):
        try:
            call(_CALL_SECONDS)
        except Again:
            if not left:
                raise
        else:
            return


def faults_after(
    keys: Sequence[int], commands: Iterable[tuple[bytes | None, ShipOrder]]
) -> Iterator[str]:
    """What is wrong with the commands for one event of each of these keys.

    A process that was restored otherwise than it was written gives another command.
    """
    seen = bytearray(len(keys))
    for key, command in commands:
        if not 0 <= command.seq < len(keys):
            yield f"command {command.seq} is for no event"
            continue
        if seen[command.seq]:
            yield f"command {command.seq} came twice"
        seen[command.seq] = 1
        number = keys[command.seq]
        expected = command_of(
            seeded(number), make_event(command.seq, process_name(number), command.occurred_at)
        )
        if command != expected or key != expected.process.encode():
            yield f"command {command.seq} is {command}, not {expected}"
    if lost := seen.count(0):
        yield f"{lost} of {len(keys)} commands are missing"
