"""What the bank's commands do to its accounts: pure, no log in sight.

A command that asks for a reply (`dispatch="confirm"`) can be refused. One that does not ask cannot
hear a refusal, so it is done: the account is overdrawn then.
"""

from msgspec import Struct

from pmstream.examples.messages import (
    DepositMoney,
    FailTransfer,
    MoneyDeposited,
    MoneyWithdrawn,
    TransferFailed,
    WithdrawMoney,
)

OPENING_BALANCE = 1_000_000
"""What is in an account that is seen for the first time."""

CLOSED = "closed-"
"""So begins the number of an account that is closed: it takes no deposits."""


class Decision(Struct, frozen=True):
    """What comes of a command.

    Attributes:
        key: of the event.
        event: what happened; None when the command was refused, or is not the bank's.
        account, change: whose balance changes by how much; "" when none does.
        refusal: why it was refused.
    """

    key: str = ""
    event: Struct | None = None
    account: str = ""
    change: int = 0
    refusal: str = ""


def decide(command: object, balance: int, *, asked: bool) -> Decision:
    """Does a command.

    Args:
        command: for the bank, or for somebody else.
        balance: of its account.
        asked: whether it asks for a reply.
    """
    match command:
        case WithdrawMoney(account_number=account, transfer_uuid=uuid, amount=amount):
            if asked and amount > balance:
                return Decision(refusal=f"{account} has {balance}, not {amount}")
            return Decision(account, MoneyWithdrawn(uuid, account, amount), account, -amount)
        case DepositMoney(account_number=account, transfer_uuid=uuid, amount=amount):
            if asked and account.startswith(CLOSED):
                return Decision(refusal=f"{account} is closed")
            return Decision(account, MoneyDeposited(uuid, account, amount), account, amount)
        case FailTransfer(transfer_uuid=uuid, reason=reason):
            return Decision(uuid, TransferFailed(uuid, reason))
    return Decision()


def account_of(command: object) -> str:
    """The account whose balance decides; "" if none does."""
    return str(getattr(command, "account_number", ""))
