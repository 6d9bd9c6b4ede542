"""What a worker's loop needs of its stage: router or instances."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Protocol, TypeVar

from msgspec import Struct

from pmstream.runtime.commit import Slice
from pmstream.runtime.log import Consumer, Record, TopicPartition
from pmstream.runtime.vitals import Vitals

T = TypeVar("T", bound=Hashable)


def evenly(parts: Sequence[T], room: int, work: Callable[[T, int], int]) -> set[T]:
    """Lets each part do an even share of the room, and again those that used theirs up.

    Args:
        parts: each is asked once at least.
        room: how much all may do.
        work: lets one do so much at most; answers how much that was.

    Returns:
        Those that did something.
    """
    worked: set[T] = set()
    going = parts
    while going:
        more: list[T] = []
        for rest, part in zip(range(len(going), 0, -1), going, strict=True):
            share = -(-room // rest)
            done = work(part, share)
            room -= done
            if done:
                worked.add(part)
            if done == share:
                more.append(part)
        going = more if room > 0 else ()
    return worked


class Load(Struct, frozen=True):
    """How much a stage has at hand.

    Attributes:
        waiting: records gathered and not handled.
        staged: inputs handled since the last commit.
        staged_bytes: what they will produce.
        busy: whether restores or look-ups are going on.
        due_in_ms: until something is due by itself.
        listens: whether it reads beside the group, and does not want to wait long for that.
    """

    waiting: int
    staged: int
    staged_bytes: int
    busy: bool
    due_in_ms: int | None = None
    listens: bool = False


class Stage(Protocol):
    """What a worker does with records: routes them, or advances instances.

    Attributes:
        topics: what the group subscribes to.
    """

    topics: Sequence[str]

    @property
    def halt(self) -> str:
        """Why the process manager is to stop; "" while it is not."""

    def is_running(self, where: TopicPartition) -> bool:
        """Whether records of that partition are handled here."""

    def assigned(self, partitions: Sequence[TopicPartition]) -> None:
        """Notes new partitions; `catch_up` makes them ready."""

    def dropped(self, partitions: Sequence[TopicPartition]) -> None:
        """Lets go of partitions and what they staged."""

    def dropped_all(self) -> None:
        """Lets go of every partition and what they staged."""

    def catch_up(self, consumer: Consumer) -> None:
        """Finds positions, restores stores; seeks and resumes what is ready."""

    def take(self, records: Iterable[Record]) -> None:
        """Puts gathered records into their partitions' queues, or drops them."""

    def process(self, now: int, room: int) -> None:
        """Handles what is at hand, up to `room` inputs in this batch."""

    def read_ahead(self, now: int, is_time: Callable[[], bool]) -> bool:
        """Reads records in hand before their turn, for as long as there is time.

        Args:
            now: milliseconds since the epoch.
            is_time: asked before each.

        Returns:
            Whether some are left.
        """

    def load(self) -> Load:
        """How much is at hand and staged."""

    def vitals(self, consumer: Consumer) -> Vitals:
        """What it can tell of itself and of each partition; asked once a second."""

    def slices(self, generation: int) -> list[Slice]:
        """The share of every partition that was touched; `generation` goes into its record."""

    def rollback(self) -> None:
        """Drops what is staged; the records stay."""

    def restart(self, consumer: Consumer) -> None:
        """Drops all that is not known to be committed, and reads every position again."""

    def close(self) -> None:
        """Lets go of all it holds."""
