"""Takes the values of messages and states out of a text that goes to logs and traces.

Rule: who may read logs may not read payloads. What an author's exception says is kept, but for the
values that stand in what it was about; in topics, which have permissions of their own, it is whole.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

MASK = "***"

SHORTEST = 4
"""Characters of a value that is taken out: shorter ones tell little, and are parts of words."""

MOST_VALUES = 10_000
"""Of a message or state; of more, no text is told at all."""

WITHHELD = "(its text is withheld: it is about more values than can be looked for)"

_WORDS = re.compile(r"`[^`]*`|[^\s`'\"(),;:]{" + str(SHORTEST) + ",}")


def masked(text: str, things: Iterable[object], known: str = "") -> str:
    """The text without the values of these things.

    Args:
        text: to be told.
        things: messages, states, plain data.
        known: may be told all the same: the process UUID.
    """
    found: set[str] = set()
    for each in _leaves(things):
        found.add(each)
        if len(found) > MOST_VALUES:
            return WITHHELD
    found.discard(known)
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def masked_words(text: str, value: bytes) -> str:
    """The text without the words that stand in a record's value; what is in `...` is kept."""
    content = value.decode(errors="replace")

    def mask(word: re.Match[str]) -> str:
        return word[0] if word[0].startswith("`") or word[0] not in content else MASK

    return _WORDS.sub(mask, text)


def _leaves(things: Iterable[object]) -> Iterator[str]:
    """Every value within, as it may stand in a text: plainly, in a repr, in JSON."""
    left = list(things)
    while left:
        each: Any = left.pop()
        if isinstance(each, Struct):
            left += [getattr(each, name) for name in each.__struct_fields__]
        elif isinstance(each, Mapping):
            left += [*each.keys(), *each.values()]
        elif isinstance(each, list | tuple | set | frozenset):
            left += each
        elif isinstance(each, str) and not isinstance(each, Enum):
            forms = {each, repr(each)[1:-1], _in_json(each)}
            yield from (form for form in forms if len(form) >= SHORTEST)
        elif isinstance(each, bytes | bytearray):
            forms = {each.decode(errors="replace"), repr(bytes(each))[2:-1], each.hex()}
            yield from (form for form in forms if len(form) >= SHORTEST)
        elif each is not None and not isinstance(each, bool | Enum):
            yield from (form for form in {_plainly(each)} if len(form) >= SHORTEST)


def _in_json(value: str) -> str:
    try:
        return msgspec.json.encode(value)[1:-1].decode()
    except UnicodeEncodeError:
        return value


def _plainly(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - a number of too many digits, or the author's own type
        return ""
