"""What every test shares: Hypothesis profiles, files in memory, clusters in memory and on Kafka."""

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path

from hypothesis import HealthCheck, settings

# A deadline measures the machine, not the code; a slow data strategy on a busy machine likewise.
settings.register_profile(
    "dev", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
# The same examples on every run, and more of them: CI reports what a change did, not luck.
settings.register_profile("ci", settings.get_profile("dev"), max_examples=200, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

MEMORY = Path("/dev/shm")
ROOM_BYTES = 2 << 30


def keep_files_in_memory() -> None:
    """Lets temporary files be in memory where there is room, unless TMPDIR says where.

    RocksDB waits for the disk each time a store is opened or closed: two thirds of the time of
    most tests. What SIGKILL leaves behind is the same: it is in the kernel's hands on a disk, too.
    """
    if "TMPDIR" in os.environ or not os.access(MEMORY, os.W_OK):
        return
    found = os.statvfs(MEMORY)
    has_room = found.f_bavail * found.f_frsize >= ROOM_BYTES
    if has_room and not found.f_flag & os.ST_NOEXEC:  # tests install packages and run them
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None  # it may have been looked up before


keep_files_in_memory()
# Every command that a test types would compile the whole package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

pytest_plugins = ["tests.memory_fixture", "tests.flat_fixture"]
if find_spec("tests.kafka_fixture"):
    pytest_plugins += ["tests.kafka_fixture", "tests.order"]
