"""What a planted bug is, and the files that most of them are planted in."""

from msgspec import Struct

COMMIT, WORKER = "pmstream/runtime/commit.py", "pmstream/runtime/worker.py"
AGENDA, DESK = "pmstream/runtime/agenda.py", "pmstream/runtime/desk.py"
PARTITION, STAGE = "pmstream/runtime/partition.py", "pmstream/runtime/instances.py"
RESTORE, CHANGELOG = "pmstream/runtime/restore.py", "pmstream/runtime/changelog.py"
SHARE = "pmstream/runtime/share.py"
MEMBERS = "pmstream/runtime/memory/consumers.py"


class Edit(Struct, frozen=True):
    """One piece of text in one file, and what takes its place."""

    file: str
    old: str
    new: str


class Mutation(Struct, frozen=True):
    """One bug.

    Attributes:
        name: for the table and the command line; begins with its number if it is of the ten.
        why: what it breaks; I1 to I6 and § are the protocol's.
        edits: what makes it.
    """

    name: str
    why: str
    edits: tuple[Edit, ...]
