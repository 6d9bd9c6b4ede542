"""How large a simulated cluster is, and what of it its workers are told."""

from functools import lru_cache
from pathlib import Path

from msgspec import Struct

from pmstream.config import Settings


class Shape(Struct, frozen=True):
    """The first line of a script: how large everything is."""

    inbox: int = 2
    sources: int = 2
    routers: int = 1
    workers: int = 2
    batch: int = 4
    cache: int = 1_000_000
    backlog: int = 10_000
    flush: int = 300
    delete: int = 86_400
    timeout: int = 60
    confirm: int = 0
    completed: int = 0


@lru_cache(64)
def settings(root: Path, shape: Shape) -> Settings:
    """Of a worker whose disks are there."""
    return Settings(
        state_dir=root,
        max_batch_records=shape.batch,
        cache_bytes=shape.cache,
        commit_deadline_ms=2_000,
        store_flush_interval_s=shape.flush,
    )
