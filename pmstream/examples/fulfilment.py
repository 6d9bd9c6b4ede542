"""An order is fulfilled by three services, or everything that was done for it is undone.

The warehouse reserves, the payment service captures, the carrier ships; each may refuse, or be too
slow. Each step that can be undone goes onto a stack in the state; a refusal, or the deadline, takes
the stack down from its top and cancels the order. What no program should decide is parked for a
person: a step back that is refused, goods that the carrier has and says nothing of, and a service
that answers nothing (whether it did its step is unknown, and the deadline waits behind it).
Run it: `pmstream run pmstream.examples.fulfilment:app`.
"""

from datetime import timedelta

from msgspec import Struct, structs

from pmstream import (
    AfterCommand,
    App,
    FailureContext,
    Metadata,
    ProcessManager,
    failure,
    routing,
    timers,
)
from pmstream.errors import CommandRejected, CommandTimeout
from pmstream.examples.shop_messages import (
    CancelOrder,
    CapturePayment,
    OrderShipped,
    OrderSubmitted,
    PaymentCaptured,
    RefundPayment,
    ReleaseStock,
    ReserveStock,
    ShipOrder,
    StockReserved,
)

DEADLINE = timedelta(days=2)
"""An order that is not with the carrier by then is undone."""

EARLY = timedelta(hours=1)
"""So long an event waits for the order that it speaks of: topics have no order among each other."""

AGAIN_SECONDS = 10.0
"""Until a command that nobody answered is sent again: with its id, so it is not done twice."""

MOST_SILENCES = 100
"""So often nobody answers a command before a person is asked: in about an hour."""

_STOCK, _PAYMENT = "stock", "payment"


class Order(Struct, frozen=True):
    """What one order has to remember.

    Attributes:
        amount: what it costs.
        undo: steps that were asked for and would have to be undone, the latest last.
        shipping: whether the carrier was asked.
    """

    amount: int = 0
    undo: tuple[str, ...] = ()
    shipping: bool = False


class Overdue(Exception):
    """The carrier has the goods, and says nothing."""


class Fulfilment(ProcessManager[Order]):
    """Reserve, pay, ship; or undo."""

    name = "fulfilment"
    state = Order
    dispatch = "confirm"
    completed_for = timedelta(days=30)  # late news of an order that has ended changes nothing

    def interested(self, event: object) -> routing.Answer:
        """One order, one process."""
        match event:
            case OrderSubmitted():
                return routing.Start(event.order_id)
            case StockReserved() | PaymentCaptured():
                return routing.ContinueExisting(event.order_id, hold=EARLY)
            case OrderShipped():
                return routing.Stop(event.order_id)
        return None

    def handle(self, state: Order, event: object, metadata: Metadata) -> object:
        """The next step, or the way back."""
        match event:
            case OrderSubmitted(order_id=id, sku=sku, quantity=quantity):
                return [ReserveStock(id, sku, quantity), timers.Set("deadline", after=DEADLINE)]
            case StockReserved(order_id=id):
                return CapturePayment(id, state.amount)
            case PaymentCaptured(order_id=id):
                return ShipOrder(id)
            case timers.TimerFired() if state.shipping:
                raise Overdue("the carrier has the goods, and says nothing")
            case timers.TimerFired():
                return _way_back(metadata.process_uuid, state, state.undo, "not shipped in time")
        return None

    def apply(self, state: Order, event: object) -> Order:
        """Puts onto the stack what the next command is about to do."""
        match event:
            case OrderSubmitted():
                return structs.replace(state, amount=event.amount, undo=(_STOCK,))
            case StockReserved():
                return structs.replace(state, undo=(_STOCK, _PAYMENT))
            case PaymentCaptured():
                return structs.replace(state, shipping=True)
        return state

    def after_command(self, state: Order, command: object) -> AfterCommand | None:
        """A cancelled order has ended."""
        return AfterCommand.STOP if isinstance(command, CancelOrder) else None

    def error(self, error: Exception, failed: object, context: FailureContext) -> failure.Answer:
        """A refused step is not done: what lies below it on the stack is undone."""
        uuid, order = context.metadata.process_uuid, context.state
        match error, failed:
            case CommandTimeout(), _ if context.attempts >= MOST_SILENCES:
                return failure.Park(f"nobody answers {type(failed).__name__}")
            case CommandTimeout(), _:
                return failure.Retry(delay=AGAIN_SECONDS)
            case CommandRejected(), ReserveStock() | CapturePayment():
                return failure.ContinueWith(_way_back(uuid, order, order.undo[:-1], str(error)))
            case CommandRejected(), ShipOrder():
                return failure.ContinueWith(_way_back(uuid, order, order.undo, str(error)))
            case CommandRejected(), _:
                return failure.Park(f"{type(failed).__name__} was refused: {error}")
        return failure.Park()


def _way_back(uuid: str, order: Order, undo: tuple[str, ...], reason: str) -> list[Struct]:
    """The stack, taken down from its top; then the order is closed."""
    back: dict[str, Struct] = {
        _STOCK: ReleaseStock(uuid),
        _PAYMENT: RefundPayment(uuid, order.amount),
    }
    return [*(back[step] for step in reversed(undo)), CancelOrder(uuid, reason)]


app = App(
    name="shop",
    schemas="avro",
    events={
        "shop.orders": [OrderSubmitted],
        "shop.stock": [StockReserved],
        "shop.payments": [PaymentCaptured],
        "shop.carrier": [OrderShipped],
    },
    commands={
        "shop.stock-commands": {ReserveStock: "order_id", ReleaseStock: "order_id"},
        "shop.payment-commands": {CapturePayment: "order_id", RefundPayment: "order_id"},
        "shop.order-commands": {ShipOrder: "order_id", CancelOrder: "order_id"},
    },
    process_managers=[Fulfilment()],
)
