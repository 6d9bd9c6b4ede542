"""`pmstream dev kafka`: a cluster in the foreground, until a signal ends it."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

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
        KeyboardInterrupt: the signal came before it ran.
    """
    ports = None if port is None else range(port, port + brokers)
    with (
        _interrupted_by(signal.SIGINT, signal.SIGTERM),
        Cluster(brokers, directory, ports, kafka_home=kafka_home, progress=progress) as cluster,
    ):
        kept = cluster.directory if directory else "a temporary directory"
        try:
            progress(f"Kafka runs, its data in {kept}; Ctrl-C ends it")
            say(cluster.bootstrap_servers)  # whoever waits for this line may end us at once
            while True:
                cluster.check()
                time.sleep(0.5)
        except KeyboardInterrupt:
            progress("stopping")


@contextmanager
def _interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """These signals raise KeyboardInterrupt, so they end a long start, too.

    SIGINT among them, because a shell lets programs in the background ignore it.
    """
    before = {each: signal.signal(each, signal.default_int_handler) for each in numbers}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
