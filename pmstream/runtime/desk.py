"""The orders of one partition: read, handed on, and told of.

Rule: every order gets one outcome, in the transaction that obeys or refuses it.
"""

from pmstream.core.engine import Step
from pmstream.core.instance import Instance
from pmstream.core.orders import OF_PARTITIONS, Order, Verb
from pmstream.runtime.changelog import CommitRecord
from pmstream.runtime.commit import Out
from pmstream.runtime.feed import Feed
from pmstream.runtime.orders import OrderOutcome, Unread, order_reader, outcome_record, snapshot
from pmstream.runtime.setup import Setup

FIRST_ORDERS_SECONDS = 5.0
"""Events wait so long at most for the orders that were given before the partition began to run."""


class Desk:
    """Where the orders of a partition come in.

    Args:
        number: of the partition.
        setup: shared by the worker's partitions.
        last: the commit record that the partition stands on.
        end: of its orders, seen as it begins to run.

    Attributes:
        feed: the records.
        paused: whether the partition takes orders only, those of this batch counted.
    """

    def __init__(self, number: int, setup: Setup, last: CommitRecord | None, end: int) -> None:
        self._number, self._setup = number, setup
        self._topic = setup.names.orders
        self._read = order_reader(self._topic, setup.partitions)
        self.feed = Feed(last.orders if last is not None else 0, end)
        self._until = setup.clock.monotonic() + FIRST_ORDERS_SECONDS
        self.paused = self._was_paused = last is not None and last.paused

    @property
    def holds(self) -> bool:
        """Whether the partition takes orders only; or may be told so by those not read yet."""
        if self.paused or self.feed.is_answered:
            return self.paused
        return self._setup.clock.monotonic() < self._until

    def take(self, now: int) -> Order | Out | None:
        """What the head says: an order to an instance, a record to write, or nothing."""
        found = self._read(self.feed.head, self._number)
        if isinstance(found, Unread):
            return self._outcome(found.order, now, refused=found.why)
        if isinstance(found, Order) and found.verb in OF_PARTITIONS:
            return self._pause(found, now)
        return found

    def _pause(self, order: Order, now: int) -> Out:
        pauses = order.verb is Verb.PAUSE
        if pauses == self.paused:
            why = "it is paused already" if pauses else "it is not paused"
            return self._outcome(order, now, refused=why)
        self.paused = pauses
        return self._outcome(order, now)

    def outcome(self, order: Order, before: Instance | None, step: Step, now: int) -> Out:
        """The record that tells what became of an order."""
        return self._outcome(order, now, before, step.instance, refused=step.refused)

    def _outcome(
        self,
        order: Order,
        now: int,
        before: Instance | None = None,
        after: Instance | None = None,
        *,
        refused: str = "",
    ) -> Out:
        outcome = OrderOutcome(
            order=order,
            accepted=not refused,
            refused=refused,
            offset=self.feed.head.offset,
            time=now,
            owner=self._setup.owner,
            before=snapshot(before),
            after=snapshot(after),
        )
        return outcome_record(self._topic, outcome, self._number)

    def back(self) -> None:
        """Nothing since the last commit counts."""
        self.feed.back()
        self.paused = self._was_paused

    def commit(self) -> None:
        """What was taken is committed."""
        self.feed.commit()
        self._was_paused = self.paused
