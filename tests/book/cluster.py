"""What pmstream keeps in a cluster and writes into records: topics, groups, ids, headers; exits."""

from collections.abc import Iterator

from pmstream.app import Names
from pmstream.cli import exits
from pmstream.config import Settings
from pmstream.core import messages
from pmstream.examples.careful_transfer import app
from pmstream.operate import topics
from pmstream.operate.topics import Role
from pmstream.runtime import inbox
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.book.markdown import cell, table

_NAMES = Names("<app>", "<pm>")
_DAY_MS = 24 * 3600 * 1000
_OF_RECORDS = "max.message.bytes"
_WHO = {
    Role.INBOX: "its routers",
    Role.CHANGELOG: "its instances workers",
    Role.REPLIES: "your services, if `dispatch` is confirm",
    Role.ORDERS: "operators; its instances workers the outcomes",
    Role.DEAD_LETTERS: "its routers; in direct mode its instances workers",
}

COMMAND_HEADERS = {
    messages.COMMAND_ID: "The command's id, `<process uuid>/<cause>/<index>`: the same whenever "
    "the same event makes it again. Services drop what they have done by it.",
    messages.CORRELATION_ID: "The event's own, else the event's id: what belongs together.",
    messages.CAUSATION_ID: "The id of the event that the command answers.",
    messages.PROCESS_UUID: "The process that sent it.",
    messages.PROCESS_MANAGER: "The process manager's name.",
    messages.REPLY_TO: "Confirm mode: the topic for the reply.",
    messages.REPLY_PARTITION: "Confirm mode: the partition for it.",
    "traceparent": "The trace that it belongs to, if its event had one.",
}
EVENT_HEADERS = {
    messages.EVENT_ID: "The event's id; without it the event is called `topic-partition-offset`.",
    messages.CORRELATION_ID: "Handed on to every command; without it the event's id is.",
    messages.CAUSATION_ID: "Shown as `metadata.causation_id`.",
    "traceparent": "W3C trace context: with the sampled flag the event is traced.",
}
REPLY_HEADERS = {
    messages.COMMAND_ID: "Of the command it answers.",
    messages.OUTCOME: "`accepted`, or `rejected` with the reason as JSON in the value.",
}
INBOX_HEADERS = {
    inbox.HEADER: "Route, source topic, partition and offset, time, which of the event's "
    "processes, the router: one binary header, pmstream's own.",
}


def owned_topics() -> Iterator[str]:
    """The topics that pmstream makes, how, and who writes them."""
    wanted = topics.wanted(app, MemoryLog(VirtualClock()), Settings())
    rows = [
        [
            f"`{_NAMES._name(each.role)}`",
            cell((getattr(Names, each.role.replace("-", "_")).__doc__ or "").strip(".")),
            _WHO[each.role],
            ", ".join(_told(*setting) for setting in _settings(each)),
        ]
        for each in wanted
        if each.is_ours
    ]
    yield from table(["topic", "holds", "written by", "settings"], rows)


def _settings(wanted: topics.Wanted) -> list[tuple[str, str]]:
    return [each for each in wanted.spec.config.items() if each[0] != _OF_RECORDS]


def _told(name: str, value: str) -> str:
    days, rest = divmod(int(value), _DAY_MS) if value.isdigit() else (0, 1)
    in_days = f" ({days} {'day' if days == 1 else 'days'})" if days and not rest else ""
    return f"`{name}={value}`{in_days}"


def cluster_names() -> Iterator[str]:
    """Groups and transactional ids."""
    rows = [
        ["consumer group of routers", f"`{_NAMES.group('router')}`"],
        ["consumer group of instances workers", f"`{_NAMES.group('instances')}`"],
        ["transactional id of a worker", f"`{_NAMES.transactional_id('router', '<worker>')}`"],
        ["", f"`{_NAMES.transactional_id('instances', '<worker>')}`"],
        [
            "name of a worker",
            "`<name>-1`, `<name>-2`, …; `--name` of `pmstream run`, else the host",
        ],
    ]
    yield from table(["what", "name"], rows)


def headers() -> Iterator[str]:
    """What stands in records' headers."""
    for title, meanings in (
        ("Events: what pmstream reads, if it is there", EVENT_HEADERS),
        ("Commands: what pmstream writes", COMMAND_HEADERS),
        ("Replies: what a service writes", REPLY_HEADERS),
        ("Inbox records: pmstream's own", INBOX_HEADERS),
    ):
        yield f"### {title}"
        yield ""
        yield from table(["header", "meaning"], [[f"`{k}`", v] for k, v in meanings.items()])
        yield ""


EXITS = {
    exits.DONE: ("done", ""),
    exits.FOUND: (
        "it looked, and found something wrong; or part of an order was refused",
        "read it",
    ),
    exits.USAGE: ("command line, settings, app or topics are wrong", "correct what it says"),
    exits.UNREACHABLE: ("no broker answers", "bring Kafka back, or correct the address"),
    exits.STOPPED: ("a process manager stopped itself", "read the reason, mend it, start again"),
    exits.TRY_AGAIN: ("somebody else holds what is needed, or Kafka is busy", "try again later"),
    exits.INTERRUPTED: ("Ctrl-C", ""),
}


def exit_codes() -> Iterator[str]:
    """What the number that a command ends with says."""
    yield from table(
        ["exit code", "means", "do"], [[str(code), *told] for code, told in EXITS.items()]
    )
