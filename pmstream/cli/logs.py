"""Log lines of a worker: JSON in a pod, plain on a terminal; ids and positions only."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

Told = Callable[[str, int, str], None]
"""(what, partition or -1, text)."""


def set_up(app: str, process_manager: str, role: str, worker: str) -> Told:
    """Sends pmstream's log lines to standard error.

    Returns:
        What a worker tells its doings by.
    """
    who = {"app": app, "pm": process_manager, "role": role, "worker": worker}
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain(who) if sys.stderr.isatty() else _Json(who))
    root = logging.getLogger("pmstream")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False
    logger = logging.getLogger("pmstream.worker")

    def told(what: str, partition: int, text: str) -> None:
        logger.info(text, extra={"what": what, "partition": partition})

    return told


class _Json(logging.Formatter):
    def __init__(self, who: dict[str, str]) -> None:
        super().__init__()
        self._who = who

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            **self._who,
            "what": getattr(record, "what", record.name),
        }
        partition = getattr(record, "partition", -1)
        if partition >= 0:
            line["partition"] = partition
        line["text"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


class _Plain(_Json):
    def format(self, record: logging.LogRecord) -> str:
        partition = getattr(record, "partition", -1)
        where = f" {partition}" if partition >= 0 else ""
        who = f"{self._who['pm']} {self._who['role']} {self._who['worker']}"
        what = getattr(record, "what", record.name)
        line = f"{_time(record)[11:23]} {who}: {what}{where} {record.getMessage()}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
