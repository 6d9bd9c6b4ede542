"""What an event costs in Python without Kafka: the codec, a partition in direct mode, a restore.

    python -m bench.path --events 60000 --keys 200000

CPU time of this process, so a busy machine disturbs little; for the partition the median of its
batches of 2 000, the first half left out. The last line is JSON: microseconds an event, and for the
restore microseconds a key: `restore_fold` and `restore_write` of the worker's thread,
`restore_background` of RocksDB's.
"""

import argparse
import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.apps import NAME, make
from bench.filled import record_of
from bench.job import Order, command_of, key_sequence, make_event, process_name
from bench.peers.bare import with_fastavro
from bench.stage import ensure
from pmstream.app import App
from pmstream.cli.work import COLLECTED_AFTER
from pmstream.config import Settings
from pmstream.runtime.changelog import Checkpoint, dump_checkpoint, fold
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.instances import InstancesStage
from pmstream.runtime.log import Record, TopicSpec
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.partition import Partition
from pmstream.runtime.restore import CHUNK_RECORDS
from pmstream.runtime.roles import INSTANCES, make_worker
from pmstream.runtime.store import Caches, Store, instance_key

BATCH = 2_000
SOURCE, COMMANDS = "events", "commands"
_TIMES = 20_000
_ROUNDS = 5


def main() -> None:
    """Measures."""
    given = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    given.add_argument("--events", type=int, default=60_000)
    given.add_argument("--keys", type=int, default=200_000, help="to restore")
    asked = given.parse_args()
    gc.set_threshold(*COLLECTED_AFTER)
    app = make("path", SOURCE, COMMANDS, keyed=True)
    found = {**codec_costs(app), **partition_costs(app, asked.events), **restore_costs(asked.keys)}
    print(json.dumps(found))


def codec_costs(app: App) -> dict[str, float]:
    """One event read and one command written: pmstream's way, its long way, plain fastavro."""
    codec, (plain_read, plain_write) = Codec(app), with_fastavro({})
    event = make_event(7, process_name(7), 1_765_000_000_000_000)
    value, command = codec.encode_event(SOURCE, event), command_of(Order(), event)
    return {
        "read": _micros(lambda: codec.decode(SOURCE, value)),
        "read_fastavro": _micros(lambda: plain_read(value)),
        "write": _micros(lambda: codec.encode_command(command)),
        "write_fastavro_unchecked": _micros(lambda: plain_write(command)),
    }


def _micros(call: Callable[[], object]) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = time.process_time()
        for _ in range(_TIMES):
            call()
        found.append((time.process_time() - began) / _TIMES * 1e6)
    return round(min(found), 2)


def partition_costs(app: App, events: int) -> dict[str, float]:
    """Handling, encoding for the commit, and what follows its acknowledgement."""
    log, clock = MemoryLog(SystemClock()), SystemClock()
    log.create_topics([TopicSpec(SOURCE, 1), TopicSpec(COMMANDS, 1)])
    ensure(app, log)
    with tempfile.TemporaryDirectory() as directory:
        settings = Settings(state_dir=Path(directory))
        worker = make_worker(app, NAME, INSTANCES, "w", log, settings, clock)
        stage = worker.stage
        assert isinstance(stage, InstancesStage)
        while not stage.partitions:
            worker.turn()
        found = _batches(stage.partitions[0], records_of(app, events), clock)
        worker.close()
    steady = found[len(found) // 2 :]
    names = ("handle", "encode", "acknowledge")
    medians = (statistics.median(each) for each in zip(*steady, strict=True))
    return {name: round(each / BATCH * 1e6, 2) for name, each in zip(names, medians, strict=True)}


def records_of(app: App, events: int) -> list[Record]:
    """So many events of 10 000 processes, as a source topic has them."""
    codec = Codec(app)
    records = []
    for seq, key in enumerate(key_sequence(events, 10_000)):
        process = process_name(key)
        value = codec.encode_event(SOURCE, make_event(seq, process, 1_765_000_000_000_000 + seq))
        records.append(Record(SOURCE, 0, seq, 1_765_000_000_000, process.encode(), value, ()))
    return records


def _batches(
    part: Partition, records: list[Record], clock: SystemClock
) -> list[tuple[float, float, float]]:
    found, offset = [], 0
    for first in range(0, len(records), BATCH):
        for record in records[first : first + BATCH]:
            part.take(record)
        at = [time.process_time()]
        part.process(clock.now(), BATCH)
        at.append(time.process_time())
        share = part.stage(1)
        at.append(time.process_time())
        offset += len(share.records) + 1
        share.acknowledged(offset)
        at.append(time.process_time())
        found.append((at[1] - at[0], at[2] - at[1], at[3] - at[2]))
    return found


def restore_costs(keys: int) -> dict[str, float]:
    """Folding and writing changelog records that are there, in the chunks of a restore."""
    records = list(_instances(keys))
    at, spent = Checkpoint(), [0.0, 0.0]
    with tempfile.TemporaryDirectory() as directory:
        store = Store(Path(directory) / "0", "bench", Caches())
        whole, own = time.process_time(), time.thread_time()
        for first in range(0, keys, CHUNK_RECORDS):
            began = time.thread_time()
            changes, at = fold(records[first : first + CHUNK_RECORDS], at, 0)
            folded = time.thread_time()
            store.write(changes, dump_checkpoint(at))
            spent = [spent[0] + folded - began, spent[1] + time.thread_time() - folded]
        others = time.process_time() - whole - (time.thread_time() - own)
        store.close()
    names = ("restore_fold", "restore_write", "restore_background")
    return {
        name: round(each / keys * 1e6, 2)
        for name, each in zip(names, (*spent, others), strict=True)
    }


def _instances(keys: int) -> Iterator[Record]:
    for key in range(keys):
        name = instance_key(process_name(key))
        yield Record("changelog", 0, key, 1_765_000_000_000, name, record_of(key), ())


if __name__ == "__main__":
    main()
