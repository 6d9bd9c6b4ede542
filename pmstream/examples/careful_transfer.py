"""The transfer for a bank that may say no: each command is confirmed, and what was done is undone.

A withdrawal that is refused ends the transfer; a deposit that is refused sends the money back
first. Only a refund that is refused needs a person: it is parked. Beside `transfer.py`: read that
first. Run it: `pmstream run pmstream.examples.careful_transfer:app`.
"""

from pmstream import App, FailureContext, Metadata, failure, routing
from pmstream.errors import CommandRejected, CommandTimeout
from pmstream.examples.messages import (
    DepositMoney,
    FailTransfer,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    TransferFailed,
    WithdrawMoney,
)
from pmstream.examples.transfer import TransferMoney

AGAIN_SECONDS = 5.0
"""Until a command that nobody answered is sent again: with its id, so it is not done twice."""


class CarefulTransfer(TransferMoney):
    """As TransferMoney, and `error` says what a refusal leads to."""

    name = "careful-transfer"
    dispatch = "confirm"
    completed_for = 86_400  # late news of a transfer that has ended does not begin it anew

    def interested(self, event: object, metadata: Metadata) -> routing.Answer:
        """As TransferMoney; one that failed has ended, too."""
        if isinstance(event, TransferFailed):
            return routing.Stop(event.transfer_uuid)
        return super().interested(event, metadata)

    def error(self, error: Exception, failed: object, context: FailureContext) -> failure.Answer:
        """Undoes what a refusal leaves half done; asks again where nobody answered."""
        transfer = context.state
        match error, failed:
            case CommandTimeout(), _:
                return failure.Retry(delay=AGAIN_SECONDS)
            case CommandRejected(), WithdrawMoney(transfer_uuid=uuid):
                return failure.ContinueWith([FailTransfer(uuid, str(error))])
            case CommandRejected(), DepositMoney(account_number=account, transfer_uuid=uuid):
                if account == transfer.debit_account:
                    return failure.Park(f"the refund was refused: {error}")
                refund = DepositMoney(transfer.debit_account, uuid, transfer.amount)
                return failure.ContinueWith([refund, FailTransfer(uuid, str(error))])
        return failure.Stop(error)


app = App(
    name="bank",
    schemas="avro",
    events={
        "bank.transfers": [MoneyTransferRequested],
        "bank.accounts": [MoneyWithdrawn, MoneyDeposited, TransferFailed],
    },
    commands={
        "bank.account-commands": {
            WithdrawMoney: "account_number",
            DepositMoney: "account_number",
            FailTransfer: "transfer_uuid",
        },
    },
    process_managers=[CarefulTransfer()],
)
