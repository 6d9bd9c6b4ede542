"""Fulfilment: the way there, every way back, the deadline, and what a person must decide."""

from datetime import timedelta
from typing import Any

import pytest

from pmstream.app import Names
from pmstream.core.lifecycle import Condition
from pmstream.examples.fulfilment import DEADLINE, MOST_SILENCES, Fulfilment, Order, Overdue, app
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
from pmstream.operate import instances
from pmstream.testing import SILENT, Rejected, Scenario, accepted, rejected, run, scenario

ID = "o-1"
SUBMITTED = OrderSubmitted(ID, "chair", 4, 400)
RESERVED, CAPTURED, SHIPPED = StockReserved(ID), PaymentCaptured(ID), OrderShipped(ID)
RESERVE, CAPTURE, SHIP = ReserveStock(ID, "chair", 4), CapturePayment(ID, 400), ShipOrder(ID)
RELEASE, REFUND = ReleaseStock(ID), RefundPayment(ID, 400)
LATE = CancelOrder(ID, "not shipped in time")


def ordered() -> Scenario:
    return scenario(Fulfilment).given(SUBMITTED)


def reserved() -> Scenario:
    return ordered().when(accepted(RESERVE)).when(RESERVED)


def paid() -> Scenario:
    return reserved().when(accepted(CAPTURE)).when(CAPTURED)


def test_an_order_is_reserved_paid_and_shipped() -> None:
    story = scenario(Fulfilment)
    story.when(SUBMITTED).then(RESERVE)
    story.when(accepted(RESERVE)).when(RESERVED).then(CAPTURE)
    story.when(accepted(CAPTURE)).when(CAPTURED).then(SHIP)
    story.when(accepted(SHIP)).when(SHIPPED).then_nothing().then_state(None)
    story.advance(DEADLINE * 2).then_nothing()


def test_goods_that_are_not_there_cancel_the_order() -> None:
    ordered().when(rejected(RESERVE, "none left")).then(CancelOrder(ID, "none left"))


def test_a_refused_payment_releases_the_goods() -> None:
    story = reserved().when(rejected(CAPTURE, "no money")).then(RELEASE)
    story.when(accepted(RELEASE)).then(CancelOrder(ID, "no money"))
    story.when(accepted(CancelOrder(ID, "no money"))).then_state(None)


def test_a_refused_shipment_is_undone_from_the_top() -> None:
    story = paid().when(rejected(SHIP, "no van")).then(REFUND)
    story.when(accepted(REFUND)).then(RELEASE)
    story.when(accepted(RELEASE)).then(CancelOrder(ID, "no van"))
    story.when(accepted(CancelOrder(ID, "no van"))).then_state(None)


@pytest.mark.parametrize(
    ("done", "back"),
    [(ordered, [RELEASE]), (reserved, [REFUND, RELEASE])],
    ids=["reserved", "paid"],
)
def test_the_deadline_undoes_what_was_asked_for(done: Any, back: list[Any]) -> None:
    """What is asked for and confirmed is done, though nobody has told of it yet."""
    last = RESERVE if done is ordered else CAPTURE
    story = done().when(accepted(last)).advance(DEADLINE).then(back[0])
    for before, after in zip(back, [*back[1:], LATE], strict=True):
        story.when(accepted(before)).then(after)
    story.when(accepted(LATE)).then_state(None)
    story.when(RESERVED if done is ordered else CAPTURED).then_nothing()


def test_goods_with_the_carrier_are_a_persons_affair_at_the_deadline() -> None:
    story = paid().when(accepted(SHIP)).advance(DEADLINE).then_nothing().then_raises(Overdue)
    story.when(SHIPPED).then_nothing()  # it waits behind what is parked
    story.then_state(Order(400, ("stock", "payment"), shipping=True))


def test_a_step_back_that_is_refused_waits_for_a_person() -> None:
    story = reserved().when(rejected(CAPTURE, "no money")).then(RELEASE)
    story.when(rejected(RELEASE, "locked")).then_nothing()
    story.advance(DEADLINE).then_nothing()


def test_news_before_the_order_waits_for_it() -> None:
    story = scenario(Fulfilment).when(RESERVED).then_nothing().when(SUBMITTED).then(RESERVE)
    story.when(accepted(RESERVE)).then(CAPTURE)


def test_a_service_that_is_silent_is_asked_again_with_the_same_command() -> None:
    ordered().advance(timedelta(seconds=41)).then(RESERVE)


@pytest.mark.parametrize(
    ("silent", "refusing", "times"),
    [
        (ReserveStock, None, MOST_SILENCES),
        (CapturePayment, None, MOST_SILENCES),
        (ShipOrder, None, MOST_SILENCES),
        # A replacement's attempts go on from the refusal that it stands for.
        (ReleaseStock, CapturePayment, MOST_SILENCES - 1),
    ],
)
def test_a_service_that_stays_silent_is_a_persons_affair_before_the_deadline(
    silent: type, refusing: type | None, times: int
) -> None:
    with run(app, services(refusing, silent)) as shop:
        shop.produce(SUBMITTED)
        shop.settle()
        shop.advance(timedelta(hours=2))

        [parked] = instances.find(shop.log, Names("shop", "fulfilment"), [Condition.PARKED])
        assert parked.reason == f"nobody answers {silent.__name__}"
        asked = shop.commands_of(ID)
        shop.advance(DEADLINE)
        assert shop.commands_of(ID) == asked
        assert len(shop.commands(silent)) == times


def services(refusing: type | None = None, silent: type | None = None) -> Any:
    """All three, one of them in a bad mood."""
    events: dict[type, Any] = {
        ReserveStock: StockReserved,
        CapturePayment: PaymentCaptured,
        ShipOrder: OrderShipped,
    }

    def do(command: Any) -> Any:
        if type(command) is refusing:
            return Rejected("no")
        if type(command) is silent:
            return SILENT
        told = events.get(type(command))
        return told(command.order_id) if told is not None else None

    return do


@pytest.mark.parametrize(
    ("refusing", "commands"),
    [
        (None, [RESERVE, CAPTURE, SHIP]),
        (ReserveStock, [RESERVE, CancelOrder(ID, "no")]),
        (CapturePayment, [RESERVE, CAPTURE, RELEASE, CancelOrder(ID, "no")]),
        (ShipOrder, [RESERVE, CAPTURE, SHIP, REFUND, RELEASE, CancelOrder(ID, "no")]),
    ],
)
def test_the_whole_app_ends_every_order(refusing: type | None, commands: list[Any]) -> None:
    with run(app, services(refusing)) as shop:
        shop.kill_at("commit", times=2)
        shop.produce(SUBMITTED)
        shop.settle()
        shop.advance(DEADLINE)

        assert shop.commands_of(ID) == commands
        assert shop.state("fulfilment", ID) is None


def test_the_whole_app_parks_what_nobody_can_undo() -> None:
    def do(command: Any) -> Any:
        refused = isinstance(command, CapturePayment | ReleaseStock)
        return Rejected("no") if refused else services()(command)

    with run(app, do) as shop:
        shop.produce(SUBMITTED)
        shop.settle()

        [parked] = instances.find(shop.log, Names("shop", "fulfilment"), [Condition.PARKED])
        assert (parked.uuid, parked.reason) == (ID, "ReleaseStock was refused: no")
