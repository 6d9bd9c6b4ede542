"""`pmstream dev kafka`: a cluster in the foreground, until a signal ends it."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from pmstream.devkafka.cluster import Cluster


def serve(
    brokers: int,
    directory: Path | None,
    port: int | None,
    kafka_home: Path | None,
    say: Callable[[str], None],
    progress: Callable[[str], None],
) -> None:
    """Runs a cluster until SIGINT or SIGTERM. Call it in the main thread.

    Args:
        brokers: 1 or 3.
        directory: where data is kept; None is a temporary directory.
        port: of the first broker, the others follow it; None finds free ones.
        kafka_home: a folder of Kafka's jars; None takes them from the cache or fetches them.
        say: prints one line: the bootstrap servers, once clients can use them.
        progress: prints a line of what takes long, and of the end.

    Raises:
        DevKafkaError: it does not start, or a broker ended by itself.
    """
    ports = None if port is None else range(port, port + brokers)
    with _told_to_end() as asked:
        cluster = Cluster(brokers, directory, ports, kafka_home=kafka_home, progress=progress)
        with cluster:
            say(cluster.bootstrap_servers)
            kept = cluster.directory if directory else "a temporary directory"
            progress(f"Kafka runs, its data in {kept}; Ctrl-C ends it")
            while not asked.wait(0.5):
                cluster.check()
            progress("stopping")


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set; a second one raises KeyboardInterrupt."""
    asked = threading.Event()

    def ask(_number: int, _frame: FrameType | None) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()

    before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
