"""One pmstream worker of the job, watched: `python -m bench.worker JSON`.

Writes, when it ends, how long its commits took and, if it traces, what became of its spans; each
restored partition is a line as it happens.
"""

import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from bench.apps import NAME, make
from bench.peers import quantiles
from pmstream.cli.tracing import tracing
from pmstream.cli.work import attend
from pmstream.config import Settings
from pmstream.runtime.clock import Clock
from pmstream.runtime.log import Log
from pmstream.runtime.roles import make_worker
from pmstream.runtime.trail import Trail
from pmstream.runtime.worker import Worker

NOTED = ("restoring", "running")
"""What is noted of a partition, with the time."""


class Watch:
    """Times the commits (a probe), and notes partitions that are opened and that begin to run.

    Args:
        stats: the file to write; notes go to `<stats>.notes` as they happen.
    """

    def __init__(self, stats: Path) -> None:
        self._stats, self._began = stats, 0.0
        self._commits: list[float] = []

    def __call__(self, step: str) -> None:
        if step == "begin":
            self._began = time.perf_counter()
        elif step == "acknowledged":
            self._commits.append(time.perf_counter() - self._began)

    def told(self, what: str, partition: int, text: str) -> None:
        """Hears of the worker."""
        if what in NOTED:
            with Path(f"{self._stats}.notes").open("a") as notes:
                notes.write(json.dumps([time.time(), what, partition, text]) + "\n")

    def write(self, trail: Trail | None) -> None:
        """The end; what became of spans, too."""
        told: dict[str, Any] = {"commit": quantiles(self._commits)}
        if trail is not None:
            told["spans"] = trail.values()
        self._stats.write_text(json.dumps(told))


def main(told: dict[str, Any]) -> None:
    """Runs it until a signal."""
    watch = Watch(Path(told["stats"]))
    app = make(told["group"], told["source"], told["commands"], keyed=told["keyed"])
    settings = Settings.load(**told["settings"])

    with tracing(settings, app.name, print) as trail:

        def made(log: Log, clock: Clock) -> Worker:
            return make_worker(
                app,
                NAME,
                told["role"],
                told["name"],
                log,
                settings,
                clock,
                watch.told,
                watch,
                trail,
            )

        attend(made, settings, nullcontext(), app=app.name, role=told["role"], worker=told["name"])
    watch.write(trail)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
