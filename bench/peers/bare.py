"""The bare loop: exactly once with nothing around it. A ceiling for Python, not a product.

    python -m bench.peers.bare JSON

Gather, handle on cached states, one transaction (commands, a changelog record for each state that
changed, a commit record, positions), then one write to RocksDB for each partition. No routing, no
failures, no retries, no timers, no back-pressure, no takeover, no headers. `codec`: "fastavro", or
"pmstream" for the very functions that pmstream decodes and encodes with.
"""

import json
import signal
import struct
import sys
import time
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import msgspec
from fastavro import schemaless_reader, schemaless_writer
from rocksdict import BlockBasedOptions, Cache, Options, Rdict, WriteBatch, WriteOptions

from bench.apps import SCHEMAS, make
from bench.job import Order, OrderPlaced, ShipOrder, advance, command_of
from bench.peers import quantiles
from pmstream.runtime import avro
from pmstream.runtime.codec import Codec

CHECKPOINT = b"\0"


class Loop:
    """One consumer, one producer, the stores of its partitions."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told, self._changelog = told, f"{told['group']}-changelog"
        self._decode, self._encode = CODECS[told["codec"]](told)
        self._consumer: Any = ck.Consumer(consumer_settings(told))
        self._consumer.subscribe([told["source"]])
        self._producer: Any = ck.Producer(producer_settings(told))
        self._producer.init_transactions(30)
        self._states: dict[str, Order] = {}
        self._stores: dict[int, Rdict] = {}
        self._cache, self._no_wal = Cache(64 << 20), WriteOptions()
        self._no_wal.disable_wal = True  # type: ignore[method-assign,assignment]
        self._at: dict[int, int] = {}
        self.commits: list[float] = []

    def turn(self) -> None:
        """One batch."""
        first = self._consumer.poll(0.1)
        if first is None:
            return
        messages = [first, *self._consumer.consume(self._told["batch"] - 1, 0)]
        good = [each for each in messages if each.error() is None]
        if not good:
            return
        commands, dirty, positions = self._handle(good)
        pack = msgspec.msgpack.encode
        changes = {
            number: [(each.encode(), pack(self._states[each])) for each in processes]
            for number, processes in dirty.items()
        }
        began = time.perf_counter()
        self._commit(commands, changes, positions)
        self._write(changes)
        self.commits.append(time.perf_counter() - began)

    def _handle(
        self, messages: list[Any]
    ) -> tuple[list[tuple[str, bytes]], dict[int, dict[str, None]], dict[int, int]]:
        commands: list[tuple[str, bytes]] = []
        dirty: dict[int, dict[str, None]] = {}
        positions: dict[int, int] = {}
        for message in messages:
            event = self._decode(message.value())
            number = message.partition()
            state = self._states.get(event.process) or self._load(number, event.process)
            commands.append((event.process, self._encode(command_of(state, event))))
            self._states[event.process] = advance(state, event)
            dirty.setdefault(number, {})[event.process] = None
            positions[number] = message.offset() + 1
        return commands, dirty, positions

    def _load(self, number: int, process: str) -> Order:
        packed = self._store(number).get(process.encode())
        return msgspec.msgpack.decode(packed, type=Order) if packed else Order()

    def _commit(
        self,
        commands: list[tuple[str, bytes]],
        changes: dict[int, list[tuple[bytes, bytes]]],
        positions: dict[int, int],
    ) -> None:
        producer, topic, changelog = self._producer, self._told["commands"], self._changelog
        produce = producer.produce
        producer.begin_transaction()
        for process, value in commands:
            produce(topic, value, process)
        for number, changed in changes.items():
            for key, value in changed:
                produce(changelog, value, key, number)
            produce(changelog, b"", CHECKPOINT, number, on_delivery=self._delivered)
        producer.flush()
        source = self._told["source"]
        producer.send_offsets_to_transaction(
            [ck.TopicPartition(source, *each) for each in positions.items()],
            self._consumer.consumer_group_metadata(),
            15,
        )
        producer.commit_transaction(15)

    def _delivered(self, error: object, message: Any) -> None:
        if error is None:
            self._at[message.partition()] = message.offset()

    def _write(self, changes: dict[int, list[tuple[bytes, bytes]]]) -> None:
        for number, changed in changes.items():
            batch = WriteBatch(raw_mode=True)
            for key, value in changed:
                batch.put(key, value)
            batch.put(CHECKPOINT, struct.pack(">q", self._at[number] + 1))
            self._store(number).write(batch, self._no_wal)

    def _store(self, number: int) -> Rdict:
        if number not in self._stores:
            table = BlockBasedOptions()
            table.set_bloom_filter(10, False)  # noqa: FBT003
            table.set_block_cache(self._cache)
            options = Options(raw_mode=True)
            options.create_if_missing(True)  # noqa: FBT003
            options.set_write_buffer_size(16 << 20)
            options.set_block_based_table_factory(table)
            path = Path(self._told["state_dir"]) / str(number)
            path.mkdir(parents=True, exist_ok=True)
            self._stores[number] = Rdict(str(path), options, column_families={"default": options})
        return self._stores[number]

    def close(self) -> None:
        """Leaves the group; closes the stores."""
        self._consumer.close()
        for each in self._stores.values():
            each.close()


def consumer_settings(told: dict[str, Any]) -> dict[str, Any]:
    """Of librdkafka."""
    return {
        "bootstrap.servers": told["servers"],
        "group.id": told["group"],
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "isolation.level": "read_committed",
        "partition.assignment.strategy": "cooperative-sticky",
        "fetch.queue.backoff.ms": 5,
        "queued.max.messages.kbytes": 65_536,
    }


def producer_settings(told: dict[str, Any]) -> dict[str, Any]:
    """Of librdkafka."""
    return {
        "bootstrap.servers": told["servers"],
        "transactional.id": told["group"],
        "linger.ms": 5,
        "partitioner": "murmur2_random",
        "retry.backoff.ms": 1,
        "retry.backoff.max.ms": 5,
        "batch.num.messages": 10_000,
        "batch.size": 1 << 20,
        "queue.buffering.max.messages": 1_000_000,
        "queue.buffering.max.kbytes": 1 << 20,
    }


Codings = tuple[Callable[[bytes], OrderPlaced], Callable[[ShipOrder], bytes]]


def with_fastavro(_told: dict[str, Any]) -> Codings:
    """Plain fastavro, and dictionaries as it makes them."""
    known, _ = avro.load(SCHEMAS)
    event, command = known["bench.OrderPlaced"], known["bench.ShipOrder"]
    prefix = b"\xc3\x01" + command.fingerprint

    def decode(value: bytes) -> OrderPlaced:
        stream = BytesIO(value)
        stream.seek(10)
        fields: Any = schemaless_reader(stream, event.parsed, None)
        return OrderPlaced(**fields)

    def encode(message: ShipOrder) -> bytes:
        stream = BytesIO()
        stream.write(prefix)
        schemaless_writer(stream, command.parsed, msgspec.structs.asdict(message))
        return stream.getvalue()

    return decode, encode


def with_pmstream(told: dict[str, Any]) -> Codings:
    """What pmstream reads and writes with."""
    codec = Codec(make("bare", told["source"], told["commands"], keyed=True))
    return partial(
        codec.decode, told["source"]
    ), lambda message: codec.encode_command(message).value


CODECS = {"fastavro": with_fastavro, "pmstream": with_pmstream}


def main(told: dict[str, Any]) -> None:
    """Runs it until a signal."""
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ended.append(number))
    loop = Loop(told)
    while not ended:
        loop.turn()
    Path(told["stats"]).write_text(json.dumps({"commit": quantiles(loop.commits)}))
    loop.close()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
