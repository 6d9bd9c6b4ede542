"""The job as pmstream's users write it: with a router, and keyed (direct mode)."""

from pathlib import Path

from bench.job import Order, OrderPlaced, ShipOrder, advance, command_of
from pmstream import App, ProcessManager, routing

NAME = "ordering"
SCHEMAS = Path(__file__).parent / "avro"


class Ordering(ProcessManager[Order]):
    """One command an event."""

    name = NAME
    state = Order

    def interested(self, event: OrderPlaced) -> routing.Answer:
        """Each event concerns the process that it names."""
        return routing.Start(event.process)

    def handle(self, state: Order, event: OrderPlaced) -> ShipOrder:
        """Ships."""
        return command_of(state, event)

    def apply(self, state: Order, event: OrderPlaced) -> Order:
        """Counts and sums up."""
        return advance(state, event)


def make(name: str, source: str, commands: str, *, keyed: bool) -> App:
    """The app over these topics, in Avro."""
    return App(
        name=name,
        schemas=SCHEMAS,
        events={source: [OrderPlaced]},
        commands={commands: {ShipOrder: "process"}},
        process_managers=[Ordering(keyed=source) if keyed else Ordering()],
    )
