"""Draws the book's pictures of traces, from real spans: `python -m tests.book.picture`.

It runs transfers on an embedded Kafka, with a router, two owners and the bank as processes, and
draws what they told over OTLP. Times are those of the machine at hand; names and order are not.
"""

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from pathlib import Path

from msgspec import Struct

from pmstream.devkafka import Cluster
from pmstream.runtime.spans import Attribute
from tests.book.pages import DOCS
from tests.runtime.tracing.hesitant import RETRIED
from tests.runtime.tracing.hosts import Hosts
from tests.runtime.tracing.otlp import receiving
from tests.runtime.tracing.told import Spans, Told

TRANSFER, RETRY = DOCS / "images" / "trace-transfer.svg", DOCS / "images" / "trace-retry.svg"
PLAIN, WARM = "plain", "warm-up"

ROW, LEFT, WIDE, MARGIN = 22, 320, 560, 16
COLOURS = {"shop": "#7a5195", "router": "#2f6f9f", "instances": "#2e8b57", "bank": "#c77700"}
LABELS = {
    "shop": "who asks for it",
    "router": "router",
    "instances": "instances worker",
    "bank": "the bank",
}


class Row(Struct, frozen=True):
    """One span, as it is drawn."""

    name: str
    who: str
    """A key of COLOURS."""
    depth: int
    start_ms: float
    end_ms: float
    note: str = ""
    group: int = 0
    """Which trace it is of, from 0."""


def rows(spans: Spans, first: Sequence[Told]) -> list[Row]:
    """The traces that begin with these spans, each from its first span downwards."""
    zero = min(each.span.start_time_unix_nano for each in first)
    found = []
    for group, root in enumerate(first):
        for depth, each in _down(spans.of_trace[root.trace], root, 0):
            start, end = (
                (nanos - zero) / 1e6
                for nanos in (each.span.start_time_unix_nano, each.span.end_time_unix_nano)
            )
            found.append(Row(each.name, _who(each), depth, start, end, _note(each), group))
    return found


def _down(all_of_it: Sequence[Told], span: Told, depth: int) -> Iterator[tuple[int, Told]]:
    yield depth, span
    below = [each for each in all_of_it if each.parent == span.id and each.counts]
    for each in sorted(below, key=lambda below: below.span.start_time_unix_nano):
        yield from _down(all_of_it, each, depth + 1)


def _who(span: Told) -> str:
    if span.service == "shop":
        return "shop"
    if span.service != "bank":
        return "bank"
    return "router" if span.name.startswith("route ") else "instances"


def _note(span: Told) -> str:
    """What became of it, where that is worth a word."""
    outcome = span.get(Attribute.OUTCOME)
    return str(outcome) if outcome in {"ended", "retrying", "parked"} else ""


def svg(drawn: Sequence[Row], title: str) -> str:
    """A picture: a line for each span, its bar where it was in time."""
    last = max(each.end_ms for each in drawn)
    groups = max(each.group for each in drawn)
    high = 2 * MARGIN + ROW * (len(drawn) + 2 + groups)
    wide = LEFT + WIDE + 2 * MARGIN + 60
    about = f'viewBox="0 0 {wide} {high}" role="img" font-family="sans-serif" font-size="12"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {about}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{wide}" height="{high}" rx="6" fill="#ffffff"/>',
        *_legend(drawn),
        *_scale(last, high),
        *_bars(drawn, last),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _legend(drawn: Iterable[Row]) -> Iterator[str]:
    at = MARGIN
    for who, colour in COLOURS.items():
        if any(each.who == who for each in drawn):
            yield _bar(at, MARGIN, 12, colour)
            yield _text(at + 18, MARGIN + 10, LABELS[who])
            at += 40 + 7 * len(LABELS[who])


def _scale(last: float, high: int) -> Iterator[str]:
    """Upright lines at round times."""
    step = next(
        each for each in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000) if last / each < 8
    )
    for time in range(0, int(last) + 1, step):
        x = _x(time, last)
        yield f'<path d="M{x} {MARGIN + ROW + 8}V{high - MARGIN}" stroke="#dddddd"/>'
        yield _text(x + 3, MARGIN + ROW + 16, f"{time} ms", "#777777")


def _bars(drawn: Sequence[Row], last: float) -> Iterator[str]:
    for number, each in enumerate(drawn):
        y = MARGIN + ROW * (number + 2 + each.group)
        if each.group and drawn[number - 1].group != each.group:
            yield _text(MARGIN, y - 5, "a trace of its own, linked to the one above:", "#777777")
        x = _x(each.start_ms, last)
        long = max(round(_x(each.end_ms, last) - x, 1), 2)
        yield _text(MARGIN + 14 * each.depth, y + 15, each.name)
        yield _bar(x, y + 5, long, COLOURS[each.who])
        if each.note:
            yield _text(x + long + 5, y + 15, each.note, "#777777")


def _bar(x: float, y: float, long: float, colour: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{long}" height="12" rx="2" fill="{colour}"/>'


def _text(x: float, y: float, text: str, colour: str = "#222222") -> str:
    return f'<text x="{x}" y="{y}" fill="{colour}">{escape(text)}</text>'


def _x(time: float, last: float) -> float:
    return round(MARGIN + LEFT + WIDE * time / last, 1)


def play() -> tuple[list[Row], list[Row]]:
    """Runs transfers; answers the rows of one that goes straight on, and of one tried again."""
    with (
        Cluster() as cluster,
        receiving() as receiver,
        tempfile.TemporaryDirectory() as folder,
    ):
        hosts = Hosts(cluster.bootstrap_servers, receiver, Path(folder))
        try:
            for uuid in (WARM, PLAIN, RETRIED):  # one after the other: each has the bank alone
                hosts.transfer(uuid)
                hosts.until(lambda uuid=uuid: hosts.spans.of(uuid, outcome="ended"))  # type: ignore[misc]
            hosts.until(lambda: _told(hosts.spans))
            spans = hosts.spans
            tried = spans.of(RETRIED, input="event")[0]
            again = spans.of(RETRIED, input="retry")[0]
            return rows(spans, [_first(spans, PLAIN)]), rows(spans, [spans.way(tried)[0], again])
        finally:
            hosts.close()


def _first(spans: Spans, uuid: str) -> Told:
    return spans.way(spans.of(uuid, input="event")[0])[0]


def _told(spans: Spans) -> bool:
    """Whether what is drawn has arrived whole: no span's parent is missing."""
    traces = {each.trace for uuid in (PLAIN, RETRIED) for each in spans.of(uuid)}
    drawn = [each for trace in traces for each in spans.of_trace[trace]]
    return all(each.parent in {"", *spans.by_id} for each in drawn)


def main() -> None:
    """Writes both pictures."""
    straight, again = play()
    TRANSFER.parent.mkdir(exist_ok=True)
    TRANSFER.write_text(svg(straight, "One transfer of money is one trace"))
    RETRY.write_text(svg(again, "A retry is a trace of its own, linked to the first try"))
    sys.stdout.write(f"{TRANSFER}\n{RETRY}\n")


if __name__ == "__main__":
    main()
