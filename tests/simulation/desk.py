"""What became of operators' orders, as it is committed.

Rule: each order has one outcome, in the transaction that takes it, where its process is at home;
who is paused takes nothing else.
"""

from pmstream.app import Names
from pmstream.core.orders import Order
from pmstream.runtime.changelog import CommitRecord
from pmstream.runtime.log import Record, TopicPartition
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.orders import order_reader, read_outcome
from tests.simulation.book import demand, visible


class Desk:
    """Checks what transactions say of orders.

    Args:
        log: whose orders are looked up.
        names: of its topics.
    """

    def __init__(self, log: MemoryLog, names: Names) -> None:
        self._log, self._names = log, names
        self._answered: set[str] = set()

    @property
    def answered(self) -> int:
        """How many orders have their outcome."""
        return len(self._answered)

    def committed(
        self,
        written: dict[TopicPartition, list[Record]],
        number: int,
        new: CommitRecord,
        last: CommitRecord | None,
    ) -> None:
        """Checks what a transaction says of the orders of a partition."""
        start = last.orders if last is not None else 0
        demand(new.orders >= start, "a position in the orders went back")
        place = TopicPartition(self._names.orders, number)
        part = self._log._broker.topic(place.topic).partitions[number]
        taken = [each for each in visible(part) if start <= each.offset < new.orders]
        asked = [each.offset for each in taken if self._is_at_home(each, number, new.partitions)]
        told = [found for each in written.get(place, ()) if (found := read_outcome(each))]
        answered = [each.offset for each in told]
        demand(answered == asked, lambda: f"orders {asked} of {place}: outcomes of {answered}")
        for each in told:
            demand(each.order.id not in self._answered, f"order {each.order.id} has two outcomes")
            self._answered.add(each.order.id)
        if last is not None and last.paused and new.paused:
            demand(new.source == last.source, f"{place}: a paused partition took an event")

    def _is_at_home(self, record: Record, number: int, partitions: int) -> bool:
        order = order_reader(self._names.orders, partitions)(record, number)
        return isinstance(order, Order)
