"""Kafka's partition of a key, as Java's default partitioner has it.

It is asked of every record that an instances worker reads, so it has a compiled twin, which the
tests hold to be alike.
"""

from collections.abc import Callable
from functools import lru_cache

from pmstream.runtime.compiled import TWINS

_REMEMBERED = 16_384
"""Keys: of a process that is busy, the hash in Python costs more than all else that is verified."""


@lru_cache(_REMEMBERED)
def python_partition(key: bytes, partitions: int) -> int:
    """`murmur2_partition` in Python."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Kafka's 32-bit murmur2 (org.apache.kafka.common.utils.Utils.murmur2), as unsigned."""
    m, mask, size = 0x5BD1E995, 0xFFFFFFFF, len(data)
    h = 0x9747B28C ^ size
    whole = size & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        h = h * m & mask ^ (k ^ k >> 24) * m & mask
    if size != whole:
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


murmur2_partition: Callable[[bytes, int], int] = (
    python_partition if TWINS is None else TWINS.partition
)
"""The partition that Java's default partitioner gives a key (KIP-480 keeps it for keys)."""
