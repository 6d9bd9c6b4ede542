"""All that /metrics tells: each name with its kind, labels and meaning, in one table.

Rule: a name ends in its unit, or in `_total` if it only grows. docs/metrics.md is this table.
"""

from enum import StrEnum

from msgspec import Struct

PREFIX = "pmstream_"


class Kind(StrEnum):
    """What a Prometheus server makes of a metric."""

    COUNTER = "counter"
    """Only grows; begins at 0 when its process starts."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(Struct, frozen=True):
    """One name on /metrics.

    Attributes:
        name: without `pmstream_`.
        kind: see `Kind`.
        labels: in their order.
        help: what it means, in one sentence.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str

    @property
    def full_name(self) -> str:
        """As it stands on /metrics."""
        return PREFIX + self.name


MANAGER = ("app", "pm")
WORKER = (*MANAGER, "role", "worker")
PARTITION = (*WORKER, "topic", "partition")

_COUNTER, _GAUGE = Kind.COUNTER, Kind.GAUGE

OF_SUPERVISOR = (
    Metric("info", _GAUGE, ("app", "version"), "1, with the version of pmstream."),
    Metric("ready", _GAUGE, ("app",), "1 while /readyz answers 200."),
    Metric("stopped", _GAUGE, MANAGER, "1 when the supervisor has given the process manager up."),
    Metric("worker_up", _GAUGE, WORKER, "1 while the worker's process runs."),
    Metric("worker_starts_total", _COUNTER, WORKER, "Starts of the worker's process."),
    Metric(
        "worker_stalls_total",
        _COUNTER,
        WORKER,
        "Workers that were replaced because their loop stood still for max_poll_interval_ms.",
    ),
    Metric("worker_silence_seconds", _GAUGE, WORKER, "Since the worker's loop last moved."),
)
"""What the supervisor knows by itself."""

OF_WORKER = (
    Metric("worker_joined", _GAUGE, WORKER, "1 while the worker is a member of its group."),
    Metric("worker_cpu_seconds_total", _COUNTER, WORKER, "Processor time of the worker."),
    Metric("worker_memory_bytes", _GAUGE, WORKER, "The most memory that the worker has held."),
    Metric(
        "longest_turn_seconds",
        _GAUGE,
        WORKER,
        "The longest turn of the loop since the last report, about a second.",
    ),
    Metric(
        "poll_headroom_seconds",
        _GAUGE,
        WORKER,
        "What max_poll_interval_ms leaves above that turn: below 0 the group expels the worker.",
    ),
    Metric("rebalances_total", _COUNTER, WORKER, "Times that the group gave the worker something."),
    Metric("commits_total", _COUNTER, WORKER, "Transactions that were committed."),
    Metric("inputs_committed_total", _COUNTER, WORKER, "Inputs that committed transactions took."),
    Metric(
        "records_sent_total",
        _COUNTER,
        WORKER,
        "Records of committed transactions for others: a router's inbox records, commands, dead "
        "letters.",
    ),
    Metric(
        "aborts_total",
        _COUNTER,
        (*WORKER, "reason"),
        "Transactions that were aborted and done again: rebalance (the group moved on), refused "
        "(by the broker), unanswered (in time).",
    ),
    Metric(
        "producers_rebuilt_total",
        _COUNTER,
        WORKER,
        "Times that the outcome of a transaction was unknown, so that every position was read "
        "again.",
    ),
    Metric("fences_total", _COUNTER, WORKER, "Those of them that another producer caused."),
    Metric(
        "commit_seconds",
        Kind.HISTOGRAM,
        WORKER,
        "How long a transaction is open, until it is acknowledged or aborted.",
    ),
    Metric("waiting_records", _GAUGE, WORKER, "Records that were gathered and not handled yet."),
    Metric(
        "source_records_total",
        _COUNTER,
        (*WORKER, "outcome"),
        "Of a router: source records by what became of them, tries of aborted transactions too.",
    ),
    Metric(
        "failures_total",
        _COUNTER,
        (*WORKER, "stage", "answer"),
        "Failures by where they happened and what error() answered, tries of aborted transactions "
        "too.",
    ),
    Metric(
        "inputs_total",
        _COUNTER,
        (*WORKER, "outcome"),
        "Of an instances worker: inputs by what became of them, tries of aborted transactions too.",
    ),
)
"""What a worker reports of itself."""

OF_TRACING = (
    Metric(
        "spans_total",
        _COUNTER,
        (*WORKER, "outcome"),
        "Of tracing: spans that were sent, that failed to arrive, that were lost for want of room.",
    ),
    Metric(
        "traces_limited_total",
        _COUNTER,
        WORKER,
        "Of tracing: sampled events that went untraced because of trace_spans_per_second.",
    ),
)
"""What it reports beside that while tracing is on."""

OF_PARTITION = (
    Metric(
        "partition_running",
        _GAUGE,
        PARTITION,
        "1 while the partition is worked on, 0 while it is restored or stands.",
    ),
    Metric(
        "partition_blocked",
        _GAUGE,
        PARTITION,
        "1 while a full backlog, or state of newer code, holds the partition back.",
    ),
    Metric(
        "partition_pinned",
        _GAUGE,
        PARTITION,
        "1 while an open transaction hides records at the end of a silent inbox.",
    ),
    Metric(
        "lag_records",
        _GAUGE,
        PARTITION,
        "Offsets from the position to the last stable offset; markers of transactions count, so a "
        "few may stay.",
    ),
    Metric(
        "hidden_records",
        _GAUGE,
        PARTITION,
        "Offsets that open transactions hide behind that; those of one that hangs stay.",
    ),
    Metric(
        "restore_remaining_records",
        _GAUGE,
        PARTITION,
        "Changelog offsets that a restore has still to read.",
    ),
    Metric("store_bytes", _GAUGE, PARTITION, "Size of the store's files."),
    Metric("store_keys", _GAUGE, PARTITION, "Keys in the store, as RocksDB estimates them."),
    Metric("store_write_stopped", _GAUGE, PARTITION, "1 while RocksDB lets nobody write."),
    Metric(
        "instances",
        _GAUGE,
        (*PARTITION, "condition"),
        "Instances by condition, as the last census of the store found them.",
    ),
    Metric("backlog_inputs", _GAUGE, PARTITION, "Inputs that wait behind others, by that census."),
    Metric("timers_pending", _GAUGE, PARTITION, "Timers that are set, by that census."),
    Metric(
        "overdue_seconds",
        _GAUGE,
        PARTITION,
        "How late the most overdue retry, timer, hold or reply was, by that census.",
    ),
    Metric(
        "oldest_failure_seconds",
        _GAUGE,
        PARTITION,
        "How long ago the input failed first that has been failing for longest, by that census.",
    ),
    Metric(
        "census_age_seconds",
        _GAUGE,
        PARTITION,
        "How old that census is; stores are read in portions, about 2 000 instances a second.",
    ),
)
"""What a worker reports of each partition that it has."""

METRICS = (*OF_SUPERVISOR, *OF_WORKER, *OF_TRACING, *OF_PARTITION)
