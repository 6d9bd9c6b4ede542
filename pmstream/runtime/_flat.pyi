# The compiled twin of flat.py; it may be missing.

from collections.abc import Callable
from typing import Any

def reader(
    names: tuple[str, ...], kinds: bytes, start: int, type_: type, /
) -> Callable[[bytes], Any]: ...
def writer(
    names: tuple[str, ...], kinds: bytes, prefix: bytes, slowly: Callable[[Any], bytes], /
) -> Callable[[Any], bytes]: ...
def partition(key: bytes, partitions: int, /) -> int: ...
