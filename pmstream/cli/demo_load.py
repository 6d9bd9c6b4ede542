"""The demo's transfers: the same ones for the same seed, and who writes them to Kafka."""

import random
from collections.abc import Iterator, Sequence
from uuid import UUID

from pmstream.examples.bank import Encode
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.runtime.log import Log

TRANSFERS = "bank.transfers"
ACCOUNTS = 100
_MOST = 1_000
_AT_ONCE = 500


def transfers(count: int, seed: int) -> list[MoneyTransferRequested]:
    """Transfers between two of the accounts each, by chance; equal for equal arguments."""
    chance = random.Random(seed)
    return list(_transfers(count, chance))


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
        todo: what to write.

    Attributes:
        sent: how many are handed over.
    """

    def __init__(self, log: Log, encode: Encode, todo: Sequence[MoneyTransferRequested]) -> None:
        self._writer, self._encode, self._todo = log.writer(), encode, todo
        self.sent = 0

    def turn(self) -> None:
        """Hands over some; the last time it waits until all are taken."""
        if self.sent == len(self._todo):
            return
        for each in self._todo[self.sent : self.sent + _AT_ONCE]:
            value = self._encode(TRANSFERS, each)
            headers = (("event-id", each.transfer_uuid.encode()),)
            self._writer.produce(TRANSFERS, value, each.debit_account.encode(), headers)
            self.sent += 1
        if self.sent == len(self._todo):
            self._writer.flush(60)
