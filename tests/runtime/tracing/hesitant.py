"""Transfers that do not go straight on: one is tried again, one waits for a timer, one parks.

What happens to a transfer is told by the beginning of its id.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pmstream import App, FailureContext, Metadata, failure
from pmstream.core.timers import Set, TimerFired
from pmstream.examples import transfer
from pmstream.examples.messages import MoneyTransferRequested, MoneyWithdrawn, WithdrawMoney
from pmstream.examples.transfer import Transfer, TransferMoney

PM = "hesitant"
RETRIED, TIMED, PARKED = "retried", "timed", "parked"
TIMER, DELAY = "soon", timedelta(milliseconds=100)
UNLUCKY = 13
"""An amount that is parked before it is deposited, until somebody edits it."""


class Unlucky(Exception):
    """What `handle` raises."""


class Hesitant(TransferMoney):
    """As TransferMoney, by detours."""

    name = PM

    def handle(self, state: Transfer, event: object, metadata: Metadata) -> Any:
        uuid = metadata.process_uuid
        if isinstance(event, TimerFired):
            return WithdrawMoney(state.debit_account, uuid, state.amount)
        if isinstance(event, MoneyTransferRequested):
            if uuid.startswith(RETRIED) and metadata.attempt == 1:
                raise Unlucky("the first try")
            if uuid.startswith(TIMED):
                return Set(TIMER, after=DELAY)
        if isinstance(event, MoneyWithdrawn) and state.amount == UNLUCKY:
            raise Unlucky(f"the amount is {UNLUCKY}")
        return super().handle(state, event, metadata)

    def error(self, error: Exception, failed: object, context: FailureContext) -> failure.Answer:
        if context.metadata.process_uuid.startswith(RETRIED):
            return failure.Retry(delay=DELAY)
        return failure.Park("somebody must look")


app = App(
    name="bank",
    schemas=Path(transfer.__file__).parent / "avro",
    events=transfer.app.events,
    commands=transfer.app.commands,
    process_managers=[Hesitant()],
)
