"""Each RocksDB that was left on disk against the fold of the changelog up to its checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pmstream.chaos.fleet import NAMES
from pmstream.chaos.verify import Verdict
from pmstream.errors import PmstreamError
from pmstream.runtime.changelog import load_checkpoint
from pmstream.runtime.log import Log, Record
from pmstream.runtime.store import BACKLOG, INSTANCE, Caches, Store

KINDS = (INSTANCE, BACKLOG)


def check_stores(
    log: Log,
    verdict: Verdict,
    folders: Sequence[Path],
    changelog: Mapping[int, Sequence[Record]],
) -> int:
    """Compares; answers how many stores there were. Nobody may have them open."""
    topics = log.topics()
    inbox, ours = topics[NAMES.inbox], topics[NAMES.changelog]
    identity = f"{inbox.id} {ours.id} {inbox.partitions}"  # as roles._place has it
    caches = Caches()
    wrong = []
    for folder in folders:
        try:
            fault = _compare(folder, identity, caches, changelog[int(folder.name)])
        except PmstreamError as error:
            fault = str(error)
        if fault:
            wrong.append(f"{folder}: {fault}")
    verdict.state_mismatches += verdict.blame("stores not equal to the fold", wrong)
    return len(folders)


def _compare(folder: Path, identity: str, caches: Caches, records: Sequence[Record]) -> str:
    """What is wrong with a store; "" if nothing is."""
    store = Store(folder, identity, caches)
    try:
        if store.wiped:
            return store.wiped
        checkpoint = load_checkpoint(store.checkpoint())
        found = {key: value for kind in KINDS for key, value in store.scan(kind, kind + b"\xff")}
    finally:
        store.close()
    fold: dict[bytes, bytes | None] = {}
    for each in records:
        if each.offset < checkpoint.next and each.key is not None and each.key[:1] in KINDS:
            fold[each.key] = each.value
    wanted = {key: value for key, value in fold.items() if value is not None}
    differ = [key for key in wanted.keys() | found.keys() if wanted.get(key) != found.get(key)]
    if not differ:
        return ""
    return f"{len(differ)} keys differ at offset {checkpoint.next}, such as {sorted(differ)[:2]}"
