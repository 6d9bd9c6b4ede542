"""What RocksDB's own files tell of how a store is set."""

import re
from pathlib import Path


def trigger(store: Path) -> str:
    """How many flushed files it merges at once, by the latest of its option files."""
    latest = max(store.glob("OPTIONS-*"), key=lambda each: int(each.name.partition("-")[2]))
    found = re.search(r"level0_file_num_compaction_trigger=(\d+)", latest.read_text())
    assert found is not None
    return found.group(1)
