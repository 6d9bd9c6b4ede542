"""A worker of the small world in a process of its own; it can be told where to die or to freeze.

Its one argument is JSON: what `KafkaWorld.child` gives, and as a plan

- `die_at`: [step, visit]: SIGKILL to itself at that visit of that step of a commit;
- `stop_at`: [step, visit]: SIGSTOP to itself there; a file `<name>.stopped` tells;
- `slow`: [what, seconds]: `handle` takes so long for events that say `what`, once.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from pmstream.config import Settings
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.kafka import KafkaLog
from pmstream.runtime.roles import make_worker
from tests.runtime.world import make_app


def main(given: dict[str, Any]) -> None:
    """Runs until SIGTERM."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    visits: dict[str, int] = {}

    def probe(step: str) -> None:
        visits[step] = visits.get(step, 0) + 1
        if given.get("die_at") == [step, visits[step]]:
            os.kill(os.getpid(), signal.SIGKILL)
        if given.get("stop_at") == [step, visits[step]]:
            (Path(given["directory"]) / f"{given['name']}.stopped").touch()
            os.kill(os.getpid(), signal.SIGSTOP)

    def told(what: str, partition: int, text: str) -> None:
        sys.stdout.write(f"{time.time():.2f} {what} {partition} {text}\n")
        sys.stdout.flush()

    app = make_app(given["app"], **given["manager"])
    if "slow" in given:
        _slow(app.manager("counter"), *given["slow"])
    worker = make_worker(
        app,
        "counter",
        given["role"],
        given["name"],
        KafkaLog(given["servers"], **given["options"]),
        Settings(**given["settings"]),
        SystemClock(),
        told,
        probe,
    )
    try:
        worker.run(lambda: bool(asked))
    finally:
        told("ended", -1, str(worker.report))


def _slow(manager: Any, what: str, seconds: float) -> None:
    handle, left = manager.handle, [seconds]

    def slow(state: Any, event: Any, metadata: Any) -> Any:
        if event.what == what and left:
            time.sleep(left.pop())
        return handle(state, event, metadata)

    manager.handle = slow


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
