"""Log lines of a worker: JSON in a pod, plain on a terminal; ids and positions only."""

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime

from pmstream.errors import PmstreamError

WORKER, SUPERVISOR = "pmstream.worker", "pmstream.supervisor"
"""Loggers."""

Told = Callable[[str, int, str], None]
"""(what, partition or -1, text)."""


def set_up(**who: str) -> None:
    """Sends pmstream's log lines to standard error; each says who it is from."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Plain(who) if sys.stderr.isatty() else _Json(who))
    root = logging.getLogger("pmstream")
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    root.propagate = False


def told(what: str, partition: int, text: str) -> None:
    """What a worker tells of its doings."""
    logging.getLogger(WORKER).info(text, extra={"what": what, "partition": partition})


def ended(error: Exception) -> None:
    """Why a worker ends; an error that nobody expected with its traceback."""
    expected = isinstance(error, PmstreamError)
    text = str(error) if expected else f"internal error, {type(error).__name__}: {error}"
    logging.getLogger(WORKER).error(
        text, extra={"what": "stopped"}, exc_info=None if expected else error
    )


class _Json(logging.Formatter):
    def __init__(self, who: dict[str, str]) -> None:
        super().__init__()
        self._who = who

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
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
        who = " ".join(self._who.values())
        what = getattr(record, "what", "")
        line = f"{_time(record)[11:23]} {who}: {what}{where} {record.getMessage()}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
