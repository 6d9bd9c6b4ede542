"""A producer on Kafka, without transactions: for tools and loaders.

Rule: callbacks keep the error they are given and do not touch it: while a fatal one is pending,
that breaks the call that runs them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import confluent_kafka as ck
from confluent_kafka import KafkaError

from pmstream.runtime.kafka_errors import RAISED, reason
from pmstream.runtime.log import Delivered, Headers
from pmstream.runtime.log_errors import Again, Refused

_FULL_QUEUE_POLL = 0.1


class KafkaWriter:
    """`Writer` on Kafka: idempotent, so retries neither double nor reorder.

    Args:
        settings: all librdkafka settings.
    """

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._client = ck.Producer(dict(settings))
        self._failure: tuple[str, KafkaError] | None = None

    def produce(
        self,
        topic: str,
        value: bytes | None,
        key: bytes | None = None,
        headers: Headers = (),
        partition: int | None = None,
        delivered: Delivered | None = None,
    ) -> None:
        """Hands over one record; waits while the queue is full. Raises Refused."""
        self._complain()

        def told(error: KafkaError | None, message: ck.Message) -> None:
            if error is not None:  # not touched before the client has returned
                self._failure = self._failure or (topic, error)
            elif delivered is not None:
                offset = message.offset()
                delivered(-1 if offset is None else offset)

        where = -1 if partition is None else partition
        while True:
            try:
                self._client.produce(
                    topic, value, key, where, on_delivery=told, headers=list(headers) or None
                )
            except BufferError:
                self._served(self._client.poll, _FULL_QUEUE_POLL)
            except (ck.KafkaException, ValueError, TypeError) as raised:
                raise Refused(f"a record for {topic} was not taken: {reason(raised)}") from raised
            else:
                self._served(self._client.poll, 0)
                return

    def flush(self, timeout: float) -> None:
        """Waits until all is taken. Raises Again, Refused."""
        left = self._served(self._client.flush, timeout)
        if left > 0:
            raise Again(f"{left} records are still on their way")

    def _served(self, call: Callable[[float], int], timeout: float) -> int:
        """What the client answers to a call that runs callbacks. Raises Refused."""
        left, told = 0, ""
        try:
            left = call(timeout)
        except RAISED as raised:
            if isinstance(raised, SystemError):  # the binding has lost the reason
                self._complain()
            raise Refused(f"the client has ended: {reason(raised)}") from raised
        except KafkaError as bare:  # type: ignore[misc]
            # It passes for an exception without being one: nothing may be chained to it.
            told = bare.str()
        self._complain()
        if told:
            raise Refused(f"the client has ended: {told}")
        return left

    def _complain(self) -> None:
        (topic, error), self._failure = self._failure or ("", None), None
        if error is not None:
            raise Refused(f"a record for {topic} was not taken: {error.str()}")
