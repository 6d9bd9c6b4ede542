"""Money goes from one account to another: the process manager to read first.

Run it: `pmstream run pmstream.examples.transfer:app`. See it at work: `pmstream demo`.
"""

from msgspec import Struct, structs

from pmstream import App, Metadata, ProcessManager, routing
from pmstream.examples.messages import (
    DepositMoney,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    WithdrawMoney,
)


class Transfer(Struct, frozen=True):
    """What one transfer has to remember between its events."""

    debit_account: str = ""
    credit_account: str = ""
    amount: int = 0
    status: str = "new"


class TransferMoney(ProcessManager[Transfer]):
    """Withdraws from one account, then deposits into the other."""

    name = "transfer-money"
    state = Transfer

    def interested(self, event: object, metadata: Metadata) -> routing.Answer:
        """Which transfer an event belongs to, and whether it starts, goes on or ends."""
        match event:
            case MoneyTransferRequested():
                return routing.Start(event.transfer_uuid)
            case MoneyWithdrawn():
                return routing.Continue(event.transfer_uuid)
            case MoneyDeposited():
                return routing.Stop(event.transfer_uuid)
        return None

    def handle(
        self, state: Transfer, event: object, metadata: Metadata
    ) -> WithdrawMoney | DepositMoney | None:
        """The command that an event calls for; `state` is what it was before the event."""
        match event:
            case MoneyTransferRequested():
                return WithdrawMoney(
                    account_number=event.debit_account,
                    transfer_uuid=event.transfer_uuid,
                    amount=event.amount,
                )
            case MoneyWithdrawn():
                return DepositMoney(
                    account_number=state.credit_account,
                    transfer_uuid=event.transfer_uuid,
                    amount=state.amount,
                )
        return None

    def apply(self, state: Transfer, event: object, metadata: Metadata) -> Transfer:
        """The state after the event."""
        match event:
            case MoneyTransferRequested():
                return structs.replace(
                    state,
                    debit_account=event.debit_account,
                    credit_account=event.credit_account,
                    amount=event.amount,
                    status="withdraw",
                )
            case MoneyWithdrawn():
                return structs.replace(state, status="deposit")
        return state


app = App(
    name="bank",
    schemas="avro",
    events={
        "bank.transfers": [MoneyTransferRequested],
        "bank.accounts": [MoneyWithdrawn, MoneyDeposited],
    },
    commands={
        # type of command: the field that is its key
        "bank.account-commands": {
            WithdrawMoney: "account_number",
            DepositMoney: "account_number",
        },
    },
    process_managers=[TransferMoney()],
)
