"""The demo's transfers: the same ones for the same seed, and who writes them to Kafka."""

import random
from collections.abc import Iterator, Sequence
from uuid import UUID

from msgspec import structs

from pmstream.examples.accounts import CLOSED
from pmstream.examples.bank import Encode
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log

TRANSFERS = "bank.transfers"
ACCOUNTS = 100
_MOST = 1_000
TOO_MUCH = 1_000_000_000
"""More than any account ever has."""

_REFUSED = 0.1
_AT_ONCE = 500


def transfers(count: int, seed: int, *, refused: bool = False) -> list[MoneyTransferRequested]:
    """Transfers between two of the accounts each, by chance; equal for equal arguments.

    Args:
        count: how many.
        seed: of the choices.
        refused: some are such that the bank refuses them.
    """
    found = list(_transfers(count, random.Random(seed)))
    chance = random.Random(f"refused {seed}")
    return [_hopeless(each, chance) for each in found] if refused else found


def _hopeless(transfer: MoneyTransferRequested, chance: random.Random) -> MoneyTransferRequested:
    """Now and then one whose money is not there, or whose account is closed."""
    if chance.random() >= _REFUSED:
        return transfer
    if chance.random() < 0.5:
        return structs.replace(transfer, amount=TOO_MUCH)
    return structs.replace(transfer, credit_account=CLOSED + transfer.credit_account)


def _transfers(count: int, chance: random.Random) -> Iterator[MoneyTransferRequested]:
    accounts = [f"account-{number:03}" for number in range(ACCOUNTS)]
    for _ in range(count):
        debit, credit = chance.sample(accounts, 2)
        yield MoneyTransferRequested(
            transfer_uuid=str(UUID(int=chance.getrandbits(128), version=4)),
            debit_account=debit,
            credit_account=credit,
            amount=chance.randint(1, _MOST),
        )


class Loader:
    """Writes the transfers, keyed by debit account: any key will do.

    Args:
        log: the cluster.
        encode: writes an event.
        clock: for the rate.
        todo: what to write.
        rate: how many a second; 0 is as fast as it goes.

    Attributes:
        sent: how many are handed over.
    """

    def __init__(
        self,
        log: Log,
        encode: Encode,
        clock: Clock,
        todo: Sequence[MoneyTransferRequested],
        rate: int = 0,
    ) -> None:
        self._writer, self._encode, self._clock = log.writer(), encode, clock
        self._todo, self._rate = todo, rate
        self._began: float | None = None
        self.sent = 0

    def turn(self) -> None:
        """Hands over what is due; the last time it waits until all are taken."""
        if self.sent == len(self._todo):
            return
        for each in self._todo[self.sent : self.sent + self._due()]:
            value = self._encode(TRANSFERS, each)
            headers = (("event-id", each.transfer_uuid.encode()),)
            self._writer.produce(TRANSFERS, value, each.debit_account.encode(), headers)
            self.sent += 1
        if self.sent == len(self._todo):
            self._writer.flush(60)

    def _due(self) -> int:
        if not self._rate:
            return _AT_ONCE
        now = self._clock.monotonic()
        if self._began is None:
            self._began = now
        return int((now - self._began) * self._rate) + 1 - self.sent
