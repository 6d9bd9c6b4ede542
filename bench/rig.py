"""The rig: a broker, loaded topics, processes that are watched from outside, and what they wrote.

Rule: everything is taken from outside of a peer, alike for all: /proc for CPU and memory, the
broker's own clock (LogAppendTime) for rates, read_committed records for the check.
"""

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import confluent_kafka as ck
import msgspec
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]
from msgspec import Struct

from bench.apps import make
from bench.children import cpu_seconds, pin
from bench.job import OrderPlaced, ShipOrder, key_sequence, make_event, process_name
from bench.stage import PARTITIONS, say
from pmstream.devkafka import Cluster
from pmstream.runtime.codec import Codec
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.log import TopicPartition
from pmstream.runtime.traceparent import dump_context

JVM = ("-Xms1g", "-Xmx1g", "-XX:TieredStopAtLevel=4")
"""As in production: both compilers, and room."""

_STAMPED = {"message.timestamp.type": "LogAppendTime"}
_COMPACT = {"cleanup.policy": "compact"}
_EPOCH_MICROS = 1_765_000_000_000_000

CLIENT, BROKER = {0}, {1}
"""Cores, when pinned: the client on one, the broker (and we) on the other."""


class Written(Struct):
    """Commands of a run: their keys and contents in partition order, append times sorted, in s."""

    commands: list[tuple[bytes | None, ShipOrder]]
    times: list[float]

    def rate(self, first: float) -> float:
        """Commands a second from a share of them all to the last."""
        low = int(len(self.times) * first)
        spent = self.times[-1] - self.times[low]
        return (len(self.times) - low) / spent if spent > 0 else 0.0

    def at(self, share: float) -> float:
        """When that share of them had been appended."""
        return self.times[min(int(len(self.times) * share), len(self.times) - 1)]


class Rig:
    """A broker and what is on it.

    Args:
        cluster: one that runs.
        directory: for logs and states.
        pinned: client on one core, broker and we on the other.
    """

    def __init__(self, cluster: Cluster, directory: Path, *, pinned: bool) -> None:
        self.servers, self.directory, self.pinned = cluster.bootstrap_servers, directory, pinned
        self.log = KafkaLog(self.servers)
        self._admin = AdminClient({"bootstrap.servers": self.servers})
        self._broker = next(pid for pid in cluster.pids if pid is not None)
        self.arrange()

    def arrange(self, *, pinned: bool | None = None) -> set[int]:
        """Puts broker and ourselves on their cores; answers those of the client."""
        pinned = self.pinned if pinned is None else pinned
        mine = BROKER if pinned else CLIENT | BROKER
        pin(self._broker, mine)
        os.sched_setaffinity(0, mine)
        return CLIENT if pinned else CLIENT | BROKER

    @property
    def broker_cpu(self) -> float:
        """CPU seconds that the broker has used."""
        return cpu_seconds(self._broker)

    def make(
        self, name: str, *, compact: bool = False, stamped: bool = False, count: int = PARTITIONS
    ) -> None:
        """Makes a topic."""
        config = {**(_COMPACT if compact else {}), **(_STAMPED if stamped else {})}
        for future in self._admin.create_topics([NewTopic(name, count, 1, config=config)]).values():
            future.result(20)
        while name not in self.log.topics():
            time.sleep(0.05)

    def drop(self, name: str) -> None:
        """Deletes all topics whose name holds this."""
        names = [each for each in self.log.topics() if name in each]
        if names:
            for future in self._admin.delete_topics(names).values():
                future.result(30)

    def load(
        self,
        events: int,
        keys: int,
        *,
        skew: float = 0.0,
        json: bool = False,
        sampled: float | None = None,
        partitions: int = PARTITIONS,
    ) -> str:
        """The topic with so many events, made unless it is there.

        Args:
            sampled: see `Peer`.
        """
        name = f"events-{'json' if json else 'avro'}-{events}-{keys}-{skew:g}-{partitions}"
        if sampled is not None:
            name += f"-traced-{sampled:g}"
        if name in self.log.topics():
            return name
        self.make(name, count=partitions)
        self.write(name, key_sequence(events, keys, skew), json=json, sampled=sampled)
        return name

    def write(
        self,
        name: str,
        keys: Iterable[int],
        *,
        json: bool = False,
        first: int = 0,
        sampled: float | None = None,
    ) -> None:
        """One event for each of these keys, numbered from `first` on."""
        began, seq = time.monotonic(), first - 1
        encode = encoder(name, json=json)
        producer: Any = ck.Producer(
            {
                "bootstrap.servers": self.servers,
                "partitioner": "murmur2_random",
                "enable.idempotence": True,
                "linger.ms": 50,
                "queue.buffering.max.messages": 1_000_000,
            }
        )
        for seq, key in enumerate(keys, first):
            process = process_name(key)
            value = encode(make_event(seq, process, _EPOCH_MICROS + seq))
            headers = [] if sampled is None else traced_headers(seq, sampled)
            while True:
                try:
                    producer.produce(name, value, process, headers=headers)
                    break
                except BufferError:
                    producer.poll(0.2)
            if seq % 5_000 == 0:
                producer.poll(0)
        producer.flush(120)
        say(f"  {seq + 1 - first} events are in {name} after {time.monotonic() - began:.0f} s")

    def end(self, topic: str) -> int:
        """The sum of a topic's last stable offsets."""
        count = self.log.topics()[topic].partitions
        return sum(self.log.end(TopicPartition(topic, n), stable=True) or 0 for n in range(count))

    def commands(self, topic: str) -> Written:
        """All committed commands."""
        decode = decoder(topic)
        commands, times = [], []
        for record in self.records(topic):
            commands.append((record.key, decode(record.value or b"")))
            times.append(record.timestamp / 1000)
        return Written(commands, sorted(times))

    def shipped(self, topic: str) -> Iterator[tuple[bytes | None, ShipOrder]]:
        """All committed commands with their keys, one after the other."""
        decode = decoder(topic)
        for record in self.records(topic):
            yield record.key, decode(record.value or b"")

    def records(self, topic: str) -> Iterator[Any]:
        """All committed records of a topic, each partition in order."""
        for number in range(self.log.topics()[topic].partitions):
            place = TopicPartition(topic, number)
            end, reader = self.log.end(place, stable=True), self.log.reader()
            reader.assign({place: self.log.start(place) or 0})
            while (reader.position(place) or 0) < (end or 0):
                yield from reader.read(10_000, 0.5)
            reader.close()

    def changelog(self, group: str) -> tuple[dict[bytes, bytes], int]:
        """The last value of each key in a group's changelogs, and how many records there are."""
        last: dict[bytes, bytes] = {}
        count = 0
        for topic in self.log.topics():
            if group in topic and "changelog" in topic:
                for record in self.records(topic):
                    count += 1
                    if record.key is not None and record.value is not None:
                        last[record.key] = record.value
        return last, count


@contextmanager
def rigged(*, pinned: bool) -> Iterator[Rig]:
    """A broker of its own for as long as a `with` block lasts."""
    with (
        tempfile.TemporaryDirectory(prefix="pmstream-bench-") as directory,
        Cluster(progress=say, jvm=JVM) as cluster,
    ):
        yield Rig(cluster, Path(directory), pinned=pinned)


def traced_headers(number: int, sampled: float) -> list[tuple[str, bytes]]:
    """A `traceparent` of an event's own; every so-manieth is sampled."""
    every = round(1 / sampled) if sampled else 0
    context = dump_context(number + 1, number + 1)
    if not every or number % every:
        context = context[:-1] + b"0"
    return [("traceparent", context)]


def encoder(topic: str, *, json: bool) -> Callable[[OrderPlaced], bytes]:
    """Writes events."""
    if json:
        return msgspec.json.encode
    codec = Codec(make("load", topic, "commands", keyed=False))
    return lambda event: codec.encode_event(topic, event)


def decoder(topic: str) -> Callable[[bytes], ShipOrder]:
    """Reads commands, of either serialization."""
    codec, from_json = Codec(make("check", "events", topic, keyed=False)), _JSON.decode

    def decode(value: bytes) -> ShipOrder:
        if value[:1] == b"{":
            return from_json(value)
        command: ShipOrder = codec.decode(topic, value)
        return command

    return decode


_JSON = msgspec.json.Decoder(ShipOrder)
