"""A rebuild as it is asked for, as it is planned, and what came of it."""

import msgspec
from msgspec import Struct

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.core.starting import StartFrom
from pmstream.operate.rerun import History


class Job(Struct, frozen=True):
    """A rebuild that is asked for.

    Attributes:
        app: with the process manager, by today's code.
        process_manager: its name.
        start_from: where its history begins; None: where the process manager itself says.
        settings: limits.
    """

    app: App
    process_manager: str
    start_from: StartFrom | None
    settings: Settings

    @property
    def begins(self) -> StartFrom:
        """Where history begins."""
        own = self.app.manager(self.process_manager).start_from
        return own if self.start_from is None else self.start_from

    @property
    def detail(self) -> str:
        """What must be asked for again to go on."""
        return msgspec.json.encode(self.begins).decode()


class Plan(Struct, frozen=True):
    """What a rebuild would do.

    Attributes:
        old, new: names of the generations.
        partitions: of both.
        sources: source partitions, and what of them is read.
        inputs: how many offsets of orders and replies are read beside them.
        instances: how many there are now.
        resumed: whether it was begun before.
        faults: what forbids it, one sentence each.
    """

    old: Names
    new: Names
    partitions: int
    sources: History
    inputs: int
    instances: int
    resumed: bool
    faults: tuple[str, ...]

    @property
    def events(self) -> int:
        """How many source offsets are read."""
        return sum(end - start for start, end in self.sources.values())


class Rebuilt(Struct, frozen=True, kw_only=True):
    """What became of a rebuild.

    Attributes:
        generation: its number.
        instances: how many there are.
        differing: how many of them, or of those before, stand elsewhere.
        lost: what would be lost or come twice; the generation is live only if that was accepted.
        is_live: whether it is.
    """

    generation: int
    instances: int
    differing: int
    lost: tuple[str, ...]
    is_live: bool
