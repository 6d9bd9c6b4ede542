"""What the topics themselves say of the transfers, read by plain readers: the demo's verdict.

Nothing that the workers say of themselves is believed. Each transfer has to leave exactly its
messages, known beforehand from the transfer alone, and an instance that has ended.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from pmstream.cli.demo_cast import Cast
from pmstream.cli.demo_load import TOO_MUCH
from pmstream.examples.accounts import CLOSED, OPENING_BALANCE
from pmstream.examples.bank import BALANCES, COMMANDS, EVENTS, Decode
from pmstream.examples.messages import (
    DepositMoney,
    FailTransfer,
    MoneyDeposited,
    MoneyTransferRequested,
    MoneyWithdrawn,
    TransferFailed,
    WithdrawMoney,
)
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log, Record, TopicPartition
from pmstream.runtime.log_errors import Unavailable
from pmstream.runtime.store import BACKLOG, INSTANCE

READ_SECONDS = 60.0
"""How long one topic may take to be read to its end."""

_CHUNK = 5_000


class Verdict(Struct, kw_only=True):
    """What was found.

    Attributes:
        transfers: how many were asked for.
        completed: of those: all messages once, and the instance ended.
        refused: of the completed: those that the bank refuses, so that nothing came of them.
        commands: in the command topic.
        lost: expected messages that are missing.
        duplicated: messages, or command ids, that are there again.
        open: instances not ended, backlog entries, records not handled.
        money: balances not as the transfers make them; 0 when money is conserved.
        faults: one sentence for each kind of fault.
    """

    transfers: int
    completed: int = 0
    refused: int = 0
    commands: int = 0
    lost: int = 0
    duplicated: int = 0
    open: int = 0
    money: int = 0
    faults: list[str] = []

    @property
    def is_good(self) -> bool:
        """Whether every transfer was done exactly once."""
        return not self.faults and self.completed == self.transfers

    def blame(self, count: int, what: str, examples: Iterable[object] = ()) -> int:
        """Notes a fault when `count` is not 0; answers it."""
        if count:
            shown = ", ".join(str(each) for each in list(examples)[:3])
            self.faults.append(f"{count} {what}" + (f", such as {shown}" if shown else ""))
        return count


def check(
    log: Log,
    clock: Clock,
    decode: Decode,
    cast: Cast,
    transfers: Sequence[MoneyTransferRequested],
) -> Verdict:
    """Compares all committed records with what the transfers call for.

    Args:
        log: the cluster; nobody writes any more.
        clock: for deadlines.
        decode: reads a command or an event.
        cast: who played.
        transfers: what the loader wrote.

    Raises:
        Unavailable: a topic cannot be read to its end.
    """
    verdict, names = Verdict(transfers=len(transfers)), cast.names
    commands = read_all(log, clock, COMMANDS)
    if cast.confirms:
        commands = _asked_once(commands)
    verdict.commands = len(commands)
    messages = [*commands, *read_all(log, clock, EVENTS)]
    whole = _check_messages(verdict, transfers, (decode(r.topic, r.value or b"") for r in messages))
    _check_ids(verdict, commands)
    ended = _check_changelog(verdict, read_all(log, clock, names.changelog), transfers, cast)
    verdict.completed = len(whole & ended)
    hopeless = {each.transfer_uuid for each in transfers if _is_refused(each)}
    verdict.refused = len(whole & ended & hopeless)
    _check_money(verdict, read_all(log, clock, BALANCES), transfers)
    letters = read_all(log, clock, names.dead_letters)
    verdict.blame(len(letters), "dead letters")
    left = unhandled(log, clock, names.group("instances"), [names.inbox])
    verdict.open += verdict.blame(left, "inbox records not handled")
    return verdict


def messages_of(each: MoneyTransferRequested) -> tuple[Struct, ...]:
    """The commands and events that one transfer must lead to."""
    uuid, amount = each.transfer_uuid, each.amount
    debit, credit = each.debit_account, each.credit_account
    withdraw = WithdrawMoney(account_number=debit, transfer_uuid=uuid, amount=amount)
    failed = (FailTransfer(uuid, ""), TransferFailed(uuid, ""))
    if amount >= TOO_MUCH:
        return (withdraw, *failed)
    begun = (
        withdraw,
        MoneyWithdrawn(account_number=debit, transfer_uuid=uuid, amount=amount),
        DepositMoney(account_number=credit, transfer_uuid=uuid, amount=amount),
    )
    if credit.startswith(CLOSED):
        refund = DepositMoney(account_number=debit, transfer_uuid=uuid, amount=amount)
        refunded = MoneyDeposited(account_number=debit, transfer_uuid=uuid, amount=amount)
        return (*begun, refund, refunded, *failed)
    return (*begun, MoneyDeposited(account_number=credit, transfer_uuid=uuid, amount=amount))


def _is_refused(each: MoneyTransferRequested) -> bool:
    return each.amount >= TOO_MUCH or each.credit_account.startswith(CLOSED)


def _asked_once(commands: Iterable[Record]) -> list[Record]:
    """One of each id: who hears nothing in time asks again, and it is not done again."""
    found: dict[object, Record] = {}
    for each in commands:
        id = dict(each.headers).get("command-id") or (each.partition, each.offset)
        found.setdefault(id, each)
    return list(found.values())


def _unworded(message: object) -> object:
    """The same without the bank's words for why it refused."""
    if isinstance(message, FailTransfer | TransferFailed):
        return structs.replace(message, reason="")
    return message


def _check_messages(
    verdict: Verdict, transfers: Sequence[MoneyTransferRequested], found: Iterable[object]
) -> set[str]:
    """Answers the transfers that have each of their messages exactly once."""
    counts = Counter(map(_unworded, found))
    whole: set[str] = set()
    lost, again = [], []
    for transfer in transfers:
        times = [(message, counts.pop(message, 0)) for message in messages_of(transfer)]
        lost += [message for message, count in times if count == 0]
        again += [message for message, count in times for _ in range(count - 1)]
        if all(count == 1 for _, count in times):
            whole.add(transfer.transfer_uuid)
    verdict.lost += verdict.blame(len(lost), "messages lost", lost)
    verdict.duplicated += verdict.blame(len(again), "messages duplicated", again)
    verdict.blame(sum(counts.values()), "messages that no transfer calls for", counts)
    return whole


def _check_ids(verdict: Verdict, commands: Sequence[Record]) -> None:
    ids = Counter(dict(each.headers).get("command-id") for each in commands)
    verdict.blame(ids.pop(None, 0), "commands without an id")
    again = [id for id, count in ids.items() if count > 1]
    verdict.duplicated += verdict.blame(len(again), "command ids used twice", again)


def _check_changelog(
    verdict: Verdict,
    records: Sequence[Record],
    transfers: Sequence[MoneyTransferRequested],
    cast: Cast,
) -> set[str]:
    """Answers the transfers whose instance has ended."""
    last = {each.key: each.value for each in records if each.key is not None}
    keys = {each.transfer_uuid: INSTANCE + each.transfer_uuid.encode() for each in transfers}
    ended = {uuid for uuid, key in keys.items() if key in last and cast.is_over(last[key])}
    not_ended = keys.keys() - ended
    foreign = {key for key, value in last.items() if key[:1] == INSTANCE and value is not None}
    foreign -= set(keys.values())
    waiting = [key for key, value in last.items() if key[:1] == BACKLOG and value is not None]
    verdict.open += verdict.blame(len(not_ended), "instances not ended", not_ended)
    verdict.open += verdict.blame(len(foreign), "instances of no transfer", foreign)
    verdict.open += verdict.blame(len(waiting), "backlog entries", waiting)
    return ended


def _check_money(
    verdict: Verdict, records: Sequence[Record], transfers: Sequence[MoneyTransferRequested]
) -> None:
    expected: Counter[str] = Counter()
    for each in transfers:
        if _is_refused(each):
            continue
        expected[each.debit_account] -= each.amount
        expected[each.credit_account] += each.amount
    found = {(each.key or b"").decode(): int(each.value or b"0") for each in records}
    moved = Counter({account: balance - OPENING_BALANCE for account, balance in found.items()})
    wrong = [each for each in {*expected, *moved} if expected[each] != moved[each]]
    verdict.money += verdict.blame(len(wrong), "accounts with a wrong balance", sorted(wrong))
    verdict.blame(sum(moved.values()), "of money made (or lost, if negative)")


def read_all(log: Log, clock: Clock, topic: str) -> list[Record]:
    """All committed records of a topic. Raises Unavailable."""
    numbers = range(log.topics()[topic].partitions)
    return _read(log, clock, {TopicPartition(topic, number): 0 for number in numbers})


def unhandled(
    log: Log, clock: Clock, group: str, topics: Iterable[str], seconds: float = READ_SECONDS
) -> int:
    """How many records a group has still to handle.

    Positions alone cannot tell: the marks that end a transaction take offsets too.

    Raises:
        Unavailable: see `read_all`.
    """
    known = log.topics()
    places = [TopicPartition(t, number) for t in topics for number in range(known[t].partitions)]
    stands = log.last_committed(group, places)
    positions = {each: stands[each].position if each in stands else 0 for each in places}
    return len(_read(log, clock, positions, seconds))


def _read(
    log: Log, clock: Clock, positions: dict[TopicPartition, int], seconds: float = READ_SECONDS
) -> list[Record]:
    until = clock.monotonic() + seconds
    found: list[Record] = []
    ends: dict[TopicPartition, int] = {}
    left = dict(positions)
    reader = log.reader()
    try:
        reader.assign(positions)
        while left:
            for each, position in tuple(left.items()):
                # The high watermark: what an open transaction hides is waited for.
                end = ends[each] if each in ends else log.end(each, stable=False)
                if end is not None:
                    ends[each] = end
                    if max(reader.position(each) or 0, position) >= end:
                        del left[each]
            if left:
                found += reader.read(_CHUNK, 0.1)
            if clock.monotonic() > until:
                where = ", ".join(f"{topic}-{number}" for topic, number in left)
                raise Unavailable(
                    f"{where} cannot be read to the end in {seconds:.0f} s: "
                    "an open transaction hides it"
                )
    finally:
        reader.close()
    return found
