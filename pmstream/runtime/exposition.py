"""The text of /metrics, from what supervisor and workers tell: the only door to prometheus_client.

Rule: nothing is remembered here; each answer is made of the last report of every worker.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import Any

from msgspec import Struct
from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from pmstream import metrics
from pmstream.metrics import Kind, Metric
from pmstream.runtime.child import View
from pmstream.runtime.health import Health
from pmstream.runtime.vitals import SUM, Values

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_Value = float | dict[str, float]
_Row = tuple[tuple[str, ...], _Value]


class Exposition(Struct, frozen=True):
    """What there is to tell of one app.

    Attributes:
        app: its name.
        version: of pmstream.
        health: of its supervisor.
    """

    app: str
    version: str
    health: Health


def metrics_app(exposition: Exposition) -> Wsgi:
    """Answers a scrape, in the format that it asks for."""
    registry = CollectorRegistry()
    registry.register(_Snapshot(exposition))
    made: Wsgi = make_wsgi_app(registry)
    return made


class _Snapshot(Collector):
    def __init__(self, exposition: Exposition) -> None:
        self._exposition = exposition

    def collect(self) -> Iterator[Family]:
        """Every metric of the table, with what there is of it now."""
        views = self._exposition.health.supervised.views()
        for metric in metrics.OF_SUPERVISOR:
            yield _family(metric, _of_supervisor(metric.name, self._exposition, views))
        app = self._exposition.app
        for metric in (*metrics.OF_WORKER, *metrics.OF_TRACING):
            yield _family(metric, _of_workers(metric.name, app, views))
        for metric in metrics.OF_PARTITION:
            yield _family(metric, _of_partitions(metric.name, app, views))


def _family(metric: Metric, rows: Iterable[_Row]) -> Family:
    name, labels = metric.full_name, metric.labels
    if metric.kind is Kind.HISTOGRAM:
        family = HistogramMetricFamily(name, metric.help, labels=labels)
        for known, value in rows:
            if isinstance(value, dict):
                family.add_metric(known, _cumulative(value), value.get(SUM, 0.0))
        return family
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    plain = kind(name, metric.help, labels=labels)
    for known, value in rows:
        if isinstance(value, dict):
            for last, each in value.items():
                more = last.split(" ", len(labels) - len(known) - 1)
                plain.add_metric([*known, *more], each)
        else:
            plain.add_metric(known, value)
    return plain


def _cumulative(buckets: dict[str, float]) -> list[tuple[str, float]]:
    bounds = [each for each in buckets if each != SUM]
    return list(zip(bounds, accumulate(buckets[each] for each in bounds), strict=True))


def _of_supervisor(name: str, told: Exposition, views: list[View]) -> Iterator[_Row]:
    match name:
        case "info":
            yield (told.app, told.version), 1.0
        case "ready":
            yield (told.app,), float(not told.health.not_ready())
        case "stopped":
            stopped = told.health.supervised.stopped
            for manager in dict.fromkeys(each.spec.process_manager for each in views):
                yield (told.app, manager), float(manager in stopped)
        case _:
            for each in views:
                yield _labels(told.app, each), _OF_VIEW[name](each)


_OF_VIEW: dict[str, Callable[[View], float]] = {
    "worker_up": lambda view: float(view.runs),
    "worker_starts_total": lambda view: view.starts,
    "worker_stalls_total": lambda view: view.stalls,
    "worker_silence_seconds": lambda view: view.silence_s,
}


def _of_workers(name: str, app: str, views: list[View]) -> Iterator[_Row]:
    for each in views:
        values: Values = each.vitals.values if each.vitals is not None else {}
        if name in values:
            yield _labels(app, each), values[name]


def _of_partitions(name: str, app: str, views: list[View]) -> Iterator[_Row]:
    for each in views:
        for part in each.vitals.parts if each.vitals is not None else ():
            if name in part.values:
                yield (*_labels(app, each), part.topic, str(part.number)), part.values[name]


def _labels(app: str, view: View) -> tuple[str, ...]:
    return (app, view.spec.process_manager, view.spec.role, view.spec.name)
