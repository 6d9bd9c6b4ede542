"""The app of the incident drill: an order is paid, then shipped; one deploy has a bug."""

import os
from typing import Any, ClassVar

from msgspec import Struct, structs

from pmstream import App, ProcessManager, failure, routing
from pmstream.app import Topic

BUG = os.environ.get("KIOSK_BUG") == "1"
"""The bad deploy: amounts that end in 3 cannot be shipped."""


class Ordered(Struct, frozen=True):
    """A customer ordered something."""

    __schema__: ClassVar[str] = "kiosk.Ordered"
    order: str
    amount: int


class Paid(Struct, frozen=True):
    """The money is there."""

    __schema__: ClassVar[str] = "kiosk.Paid"
    order: str


class Reserve(Struct, frozen=True):
    """Take the goods from the shelf."""

    __schema__: ClassVar[str] = "kiosk.Reserve"
    order: str
    amount: int


class Ship(Struct, frozen=True):
    """Send them."""

    __schema__: ClassVar[str] = "kiosk.Ship"
    order: str
    amount: int


class Order(Struct, frozen=True):
    """Where an order stands."""

    amount: int = 0
    status: str = "new"


class Fulfil(ProcessManager[Order]):
    """Reserves, then ships."""

    name = "fulfil"
    state = Order
    default_failure = failure.Park("for a person")

    def interested(self, event: Any) -> routing.Answer:
        """Both events belong to their order."""
        return routing.Start(event.order)

    def handle(self, state: Order, event: Any) -> Reserve | Ship:
        """One command for each event."""
        if isinstance(event, Ordered):
            return Reserve(event.order, event.amount)
        if BUG and state.amount % 10 == 3:
            raise ZeroDivisionError(f"discount of {state.amount}")
        return Ship(event.order, state.amount)

    def apply(self, state: Order, event: Any) -> Order:
        """The state after the event."""
        if isinstance(event, Ordered):
            return Order(event.amount, "reserved")
        return structs.replace(state, status="shipped")


app = App(
    name="kiosk",
    events={"kiosk.events": Topic([Ordered, Paid], format="json", type_header="type")},
    commands={
        "kiosk.commands": Topic(
            {Reserve: "order", Ship: "order"}, format="json", type_header="type"
        )
    },
    process_managers=[Fulfil()],
)
