"""A cluster's directory: temporary, or named and kept.

Holds `cluster.json` (what it is), `in-use` (locked while a broker lives), and `broker-1` and so on.
"""

import fcntl
import json
import shutil
import tempfile
import time
from pathlib import Path
from typing import BinaryIO

from pmstream.devkafka.cache import VERSION
from pmstream.devkafka.errors import DevKafkaError
from pmstream.devkafka.runtime import copy_template, random_id

_RELEASE_TIMEOUT_S = 10.0


class Home:
    """The directory of a cluster that is about to run, held until `leave`.

    Args:
        named: where; None is a temporary directory.
        brokers: how many the cluster has.

    Raises:
        DevKafkaError: the directory belongs to something else, or is in use.
    """

    def __init__(self, named: Path | None, brokers: int) -> None:
        self.is_temporary = named is None
        self.path = Path(tempfile.mkdtemp(prefix="pmstream-kafka-")) if named is None else named
        self.path = self.path.absolute()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._refuse_strangers(brokers)
            self.held: BinaryIO = (self.path / "in-use").open("wb")
        except OSError as error:
            raise DevKafkaError(
                f"{self.path} cannot hold a cluster's data ({error.strerror}): choose another "
                "directory"
            ) from error
        self._hold()
        self.cluster_id = self._identify(brokers)

    def broker(self, node: int, template: Path) -> Path:
        """The folder of one broker, its data formatted."""
        folder = self.path / f"broker-{node}"
        folder.mkdir(exist_ok=True)
        if not (folder / "data").is_dir():
            copy_template(template, folder / "data", node, self.cluster_id)
        return folder

    def leave(self) -> None:
        """Removes a temporary directory; lets go of a named one."""
        self.held.close()
        if self.is_temporary:
            shutil.rmtree(self.path, ignore_errors=True)

    def _refuse_strangers(self, brokers: int) -> None:
        known = self.path / "cluster.json"
        if known.exists():
            was = json.loads(known.read_text())
            for what, new in ("brokers", brokers), ("kafka", VERSION):
                if was[what] != new:
                    raise DevKafkaError(
                        f"{self.path} holds a cluster whose {what} is {was[what]}, not {new}: "
                        "start it as it was, or choose another directory"
                    )
        elif any(each.name != "in-use" for each in self.path.iterdir()):
            raise DevKafkaError(
                f"{self.path} holds other files than a cluster's: choose an empty or a new "
                "directory"
            )

    def _hold(self) -> None:
        """A guard whose parent died needs a moment to end its JVM; then it lets go."""
        deadline = time.monotonic() + _RELEASE_TIMEOUT_S
        while True:
            try:
                return fcntl.flock(self.held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self.held.close()
                    raise DevKafkaError(
                        f"{self.path} is in use by a cluster that runs: stop that, or choose "
                        "another directory"
                    ) from None
            time.sleep(0.1)

    def _identify(self, brokers: int) -> str:
        known = self.path / "cluster.json"
        if not known.exists():
            cluster = {"cluster_id": random_id(), "brokers": brokers, "kafka": VERSION}
            new = known.with_suffix(".new")
            new.write_text(json.dumps(cluster))
            new.rename(known)
        return str(json.loads(known.read_text())["cluster_id"])
