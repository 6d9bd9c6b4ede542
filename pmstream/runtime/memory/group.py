"""A consumer group of the memory log: members, generations, who owns what, committed positions.

Rule: a partition is given to a member only when no other member of the group owns it, and a member
owns it until it was told `revoked` or the group has removed it.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from pmstream.runtime.log import Committed, TopicPartition
from pmstream.runtime.log_errors import MustGather
from pmstream.runtime.memory.partition import Transaction


class Gone(StrEnum):
    """Why a member is no member any more."""

    LEFT = "left"
    SESSION = "session timed out"
    EXPELLED = "max.poll.interval exceeded"
    REPLACED = "replaced by a member with the same group instance id"


class Token(NamedTuple):
    """What `Membership.token` is here."""

    group: str
    member: str
    name: str | None


class Member:
    """One member, as the group and its client see it.

    Attributes:
        id: unique for ever.
        name: static name, None for a dynamic member.
        topics: what it subscribed to.
        seen: monotonic seconds of its last gather.
        owned: what it was told and has not given back.
        target: what it should own.
        generation: the last one it has heard of.
        gone: why it is out; None while it is in.
    """

    def __init__(self, member_id: str, name: str | None, topics: tuple[str, ...]) -> None:
        self.id, self.name, self.topics = member_id, name, topics
        self.seen = 0.0
        self.owned: set[TopicPartition] = set()
        self.target: set[TopicPartition] = set()
        self.generation = -1
        self.gone: Gone | None = None

    @property
    def label(self) -> str:
        """Static name, or the id of a dynamic member."""
        return self.name or self.id


class Group:
    """One group.

    Args:
        name: its name.
        partitions: answers the partitions of a topic that exist now.

    Attributes:
        generation: counts rebalances.
        members: by id, in the order of joining.
        pending: partition to the open transactions that move its position.
    """

    def __init__(self, name: str, partitions: Callable[[str], Iterable[TopicPartition]]) -> None:
        self.name, self._partitions = name, partitions
        self.generation = 0
        self.members: dict[str, Member] = {}
        self.pending: dict[TopicPartition, set[Transaction]] = {}
        self._committed: dict[TopicPartition, tuple[int, Committed]] = {}

    # Positions

    def committed(self, partition: TopicPartition) -> Committed | None:
        """The last known position, whatever is pending."""
        found = self._committed.get(partition)
        return found[1] if found else None

    def store(self, partition: TopicPartition, order: int, position: Committed) -> None:
        """Stores a position unless one that was asked for later is there."""
        if order >= self._committed.get(partition, (-1,))[0]:
            self._committed[partition] = (order, position)

    def forget(self, partitions: Iterable[TopicPartition] | None) -> None:
        """Drops positions, as their expiry or the deletion of a topic does."""
        for partition in list(self._committed) if partitions is None else partitions:
            self._committed.pop(partition, None)

    # Members

    def join(self, member: Member, now: float) -> None:
        """Takes a member in; one with a known static name gets that one's partitions, silently."""
        member.seen = now
        old = self._named(member.name)
        if old is None:
            self.members[member.id] = member
            self.balance()
            return
        self._remove(old, Gone.REPLACED)
        member.target = old.target
        self.members[member.id] = member
        if old.topics != member.topics or old.target != old.owned:
            self.balance()

    def leave(self, member: Member, why: Gone) -> None:
        """Takes a member out and shares its partitions."""
        if member.gone is None:
            self._remove(member, why)
            self.balance()

    def expire(self, now: float, session_seconds: float) -> float:
        """Removes members not seen for a session; answers when to look again."""
        for member in [m for m in self.members.values() if m.seen + session_seconds <= now]:
            self.leave(member, Gone.SESSION)
        seen = [member.seen for member in self.members.values()]
        return min(seen) + session_seconds if seen else float("inf")

    def check(self, member_id: str, name: str | None, generation: int) -> None:
        """Refuses offsets of anybody who is not a member of this very generation."""
        if member_id not in self.members:
            if self._named(name):
                raise MustGather(f"member {name} of {self.name} was replaced (FENCED_INSTANCE_ID)")
            raise MustGather(f"{member_id} is no member of {self.name} (UNKNOWN_MEMBER_ID)")
        if generation != self.generation:
            raise MustGather(
                f"generation {generation} of {self.name} is over, it is {self.generation} now "
                "(ILLEGAL_GENERATION)"
            )

    def balance(self, *, rotate: bool = False) -> None:
        """Begins a new generation: shares partitions anew, moving as few as possible.

        Args:
            rotate: moves everything instead, each member's share to the next one.
        """
        self.generation += 1
        members = list(self.members.values())
        if rotate:
            shares = [member.target for member in members]
            for member, share in zip(members, shares[-1:] + shares[:-1], strict=True):
                member.target = share
        else:
            share_out(members, {t: list(self._partitions(t)) for m in members for t in m.topics})

    def give_back(self, member: Member) -> list[TopicPartition]:
        """What the member has to give up now; it no longer owns it."""
        moved = sorted(member.owned - member.target)
        if moved:
            member.owned -= set(moved)
            self.generation += 1  # it rejoins, so that others can be given what it gave back
        return moved

    def receive(self, member: Member) -> list[TopicPartition]:
        """What the member may have now, because nobody owns it any more."""
        taken = {p for other in self.members.values() for p in other.owned}
        given = sorted(member.target - taken)
        member.owned |= set(given)
        return given

    def _named(self, name: str | None) -> Member | None:
        return next((m for m in self.members.values() if name and m.name == name), None)

    def _remove(self, member: Member, why: Gone) -> None:
        member.gone = why
        del self.members[member.id]


def share_out(members: list[Member], partitions: Mapping[str, list[TopicPartition]]) -> None:
    """Sets every member's target: sticky, and even within one partition (cooperative-sticky)."""
    wanted = {m.id: {p for t in m.topics for p in partitions[t]} for m in members}
    free = sorted({p for each in wanted.values() for p in each})
    for member in members:
        kept = (member.target | member.owned) & wanted[member.id] & set(free)
        member.target = kept
        free = [p for p in free if p not in kept]
    for partition in free:
        able = [m for m in members if partition in wanted[m.id]]
        min(able, key=lambda m: len(m.target)).target.add(partition)
    while _move_one(members, wanted):
        pass


def _move_one(members: list[Member], wanted: Mapping[str, set[TopicPartition]]) -> bool:
    """Moves one partition from a member with two more than another; False if all is even."""
    for rich in sorted(members, key=lambda m: -len(m.target)):
        for poor in sorted(members, key=lambda m: len(m.target)):
            if len(rich.target) - len(poor.target) < 2:
                break
            for partition in sorted(rich.target, reverse=True):
                if partition in wanted[poor.id]:
                    rich.target.remove(partition)
                    poor.target.add(partition)
                    return True
    return False
