"""Gives memory back that the C library has freed and keeps: after a restore it is most of all.

Rule: of use with glibc only; elsewhere it does nothing.
"""

import ctypes
from collections.abc import Callable


def trim() -> bool:
    """Whether anything could be given back; takes some 10 ms for a few hundred MiB."""
    return bool(_malloc_trim is not None and _malloc_trim(0))


def _find() -> Callable[[int], int] | None:
    try:
        found: Callable[[int], int] | None = getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # no such library, or not loaded by that name
        return None
    return found


_malloc_trim = _find()
