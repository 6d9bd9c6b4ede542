"""Records written by a tool, all or none."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from pmstream.runtime.commit import Sent
from pmstream.runtime.log import Producer
from pmstream.runtime.log_errors import LogError

WRITE_SECONDS = 30.0


@contextmanager
def transaction(producer: Producer) -> Iterator[None]:
    """Committed at the end; aborted if anything is raised before.

    Raises:
        Again, MustAbort, OutcomeUnknown: the cluster; whether it counts is to be looked up.
    """
    producer.begin()
    try:
        yield
        producer.flush(WRITE_SECONDS)
    except BaseException:
        with suppress(LogError):  # else the broker does, after transaction_timeout_ms
            producer.abort(WRITE_SECONDS)
        raise
    producer.commit(WRITE_SECONDS)


def write(producer: Producer, outs: Iterable[Sent]) -> None:
    """Writes them in one transaction. Raises as `transaction`."""
    with transaction(producer):
        for out in outs:
            producer.produce(out.topic, out.value, out.key, out.headers, out.partition)
