"""The limits of all that comes from a network or a file, as the code has them."""

import re
from collections.abc import Iterator
from importlib import import_module

from pmstream import ProcessManager
from pmstream.config import Settings
from tests.book.markdown import table

_DEAD = "a dead letter, with its reason"
_REFUSED = "refused, with its reason in the audit"
_FILE = "a fault of the file, told by `schemas check` and at start"

LIMITS = (
    # what comes in, the limit, what happens beyond it
    (
        "a record",
        "runtime.kafka:MOST_MESSAGE_BYTES",
        "the topic's own `max.message.bytes` counts first",
    ),
    ("headers of an event", "core.messages:MOST_HEADERS", _DEAD),
    ("what a dead letter tells of its reason", "runtime.intake:MAX_REASON", "cut"),
    ("undecodable records in a row", "runtime.intake:BREAKER_RUN", "the process manager stops"),
    ("processes of one event", "option:fan_out_limit", "`InvalidRoute`, `error` decides"),
    ("a process UUID, bytes", "core.routing:MAX_UUID_BYTES", "`InvalidRoute`, `error` decides"),
    ("inputs behind an instance", "option:backlog_limit", "its partition waits"),
    ("timers of an instance", "option:timers_limit", "`ValueError`, `error` decides"),
    (
        "a command; a state; an event's commands that wait for their turn; a failure's context",
        "setting:max_message_bytes",
        "`CommandInvalid` or `StateInvalid`, `error` decides",
    ),
    ("seconds of a callback", "option:event_timeout", "`EventTimeout`, `error` decides"),
    ("a decimal's bytes", "runtime.schemas:MAX_DECIMAL_BYTES", _DEAD),
    ("a reply's reason", "runtime.replies:MAX_REASON_BYTES", "cut, and a text"),
    (
        "plain data within plain data (reasons, orders)",
        "runtime.nesting:MAX_DEPTH",
        "a text; an order is refused",
    ),
    ("an order, but one to deliver an event", "runtime.orders:MAX_ORDER_BYTES", _REFUSED),
    ("an order's id, who and why, characters each", "runtime.orders:MAX_TEXT", _REFUSED),
    ("a state in the audit", "runtime.orders:MAX_STATE_BYTES", "left out"),
    ("an error's text in an instance, characters", "core.answering:MAX_TEXT", "cut"),
    ("values looked for in an error's text", "core.masking:MOST_VALUES", "no text is told"),
    ("a schema file", "runtime.schema_limits:MAX_SCHEMA_BYTES", _FILE),
    ("types of a schema, written out", "runtime.schema_limits:MAX_SCHEMA_TYPES", _FILE),
    ("types within types", "runtime.schema_limits:MAX_SCHEMA_DEPTH", _FILE),
    ("digits of a decimal", "runtime.schemas:MAX_DECIMAL_DIGITS", _FILE),
    ("records of a batch", "setting:max_batch_records", "the next batch takes them"),
    ("bytes of a batch", "setting:max_batch_bytes", "the next batch takes them"),
    ("decoded instances in memory", "setting:cache_bytes", "the oldest leave it"),
    ("spans of a worker a second", "setting:trace_spans_per_second", "untraced, and counted"),
    ("spans that wait for the collector", "runtime.telemetry:MOST_QUEUED", "lost, and counted"),
    ("a worker's report to its supervisor", "runtime.report:MAX_REPORT_BYTES", "dropped"),
    ("requests to the health port at once", "runtime.endpoint:MOST_REQUESTS", "sent away"),
    ("a request's line and headers", "runtime.endpoint:MOST_REQUEST_BYTES", "cut off"),
    (
        "seconds of a request, and of taking the answer",
        "runtime.endpoint:REQUEST_SECONDS",
        "cut off",
    ),
    (
        "a broker that shows its certificate once more, seconds",
        "runtime.kafka_refusals:ASKED_SECONDS",
        "librdkafka's own words are told",
    ),
    (
        "`--where`, characters",
        "operate.where:MAX_CHARACTERS",
        "refused; a pattern (`=~`) that takes long is the operator's own",
    ),
    ("orders of one command line", "cli.ordering:MOST_AT_ONCE", "`--limit` allows more"),
)


def limits() -> Iterator[str]:
    """Each with its name and value."""
    return table(
        ["what comes in", "limit", "value", "beyond it"],
        [[what, f"`{_name(where)}`", _value(where), beyond] for what, where, beyond in LIMITS],
    )


def _name(where: str) -> str:
    kind, _, name = where.partition(":")
    return name if kind in ("setting", "option") else f"{kind}.{name}"


def _value(where: str) -> str:
    kind, _, name = where.partition(":")
    if kind == "setting":
        found = Settings.model_fields[name].default
    elif kind == "option":
        found = getattr(ProcessManager, name)
    else:
        found = getattr(import_module(f"pmstream.{kind}"), name)
    if found is None:
        return "none, unless you set it"
    return re.sub(r"\B(?=(\d{3})+(?!\d))", " ", f"{found:g}" if found < 1e5 else f"{found:.0f}")
