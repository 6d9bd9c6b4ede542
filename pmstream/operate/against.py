"""What of the schemas at hand does not go together with how they were: by message and field.

backward  readers of today fail at records of then
forward   readers of then fail at records of today
previous  a schema that wrote records is neither here nor in previous/: they are unknown
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from pmstream.errors import ConfigurationError
from pmstream.operate.revision import folder_at
from pmstream.runtime import avro
from pmstream.runtime.resolution import resolve
from pmstream.runtime.schemas import Schema


class Finding(Struct, frozen=True):
    """One change that is not compatible.

    Attributes:
        message: full name of the record; of a message that was renamed today's.
        field: its path, `[]` for items and `{}` for values; empty for the message as a whole.
        breaks: backward, forward or previous.
        change: what is wrong, as a sentence that begins with the field.
    """

    message: str
    field: str
    breaks: str
    change: str


def against(folder: Path, ref: str) -> list[Finding]:
    """Every change of a folder of schemas since `ref` that is not compatible.

    Args:
        folder: of the schemas at hand.
        ref: another folder, or a git revision of this one.

    Raises:
        ConfigurationError: either has no schemas, or such that cannot be read.
    """
    with folder_at(folder, ref) as place:
        before, faults = avro.schemas_in(place)
        name = ref if place == Path(ref) else f"{ref}:{folder.name}"
        faults = [each.replace(str(place), name) for each in faults]
    now, mine = avro.schemas_in(folder)
    if faults or mine:
        raise ConfigurationError(*mine, *faults)
    return [*_changes(now, before), *_missing(now, before, ref)]


def _changes(now: Mapping[str, Schema], before: Mapping[str, Schema]) -> Iterator[Finding]:
    heirs = avro.successors(now)
    for old in before.values():
        if old.key != old.name or old.name not in heirs:
            continue
        name = heirs[old.name]
        new = now[name]
        for each in resolve(old.expanded, new.expanded)[1]:
            yield Finding(name, each.path, "backward", each.said())
        for each in resolve(new.expanded, old.expanded)[1]:
            yield Finding(name, each.path, "forward", each.said(forward=True))


def _missing(
    now: Mapping[str, Schema], before: Mapping[str, Schema], ref: str
) -> Iterator[Finding]:
    known = {each.fingerprint for each in now.values()}
    for old in before.values():
        if old.fingerprint not in known:
            known.add(old.fingerprint)
            yield Finding(
                old.name,
                "",
                "previous",
                f"records that {old.key}.avsc wrote at {ref} are unknown now: "
                f"put that file into previous/, under any name",
            )
