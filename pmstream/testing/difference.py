"""Two lists side by side, for the message of a failing check."""

from collections.abc import Sequence
from difflib import ndiff
from typing import Any


def difference(expected: Sequence[Any], found: Sequence[Any]) -> str:
    """Lines that begin with "-" are missing, with "+" too many, with a space alike."""
    return "\n".join(ndiff([repr(each) for each in expected], [repr(each) for each in found]))
