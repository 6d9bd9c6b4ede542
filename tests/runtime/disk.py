"""What a kill leaves on the disk."""

import shutil

from pmstream.runtime.store import Store


def leave_as_killed(store: Store) -> None:
    """Closes a store so that its files are what a kill at this moment leaves behind."""
    path = store.path
    copy = path.with_name(path.name + ".killed")
    shutil.copytree(path, copy)
    store.close()
    shutil.rmtree(path)
    copy.rename(path)
