"""`pmstream produce` and `pmstream consume`: messages in and out, by schema."""

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.output import Output, OutputOption, counted, print_json
from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.operate import messages
from pmstream.operate.bounds import bounds
from pmstream.operate.reading import read_once
from pmstream.runtime.log import Headers, Log, Record, TopicPartition
from pmstream.runtime.produced import traced_headers
from pmstream.runtime.trail import Trail

TopicName = Annotated[
    str, typer.Argument(metavar="TOPIC", help="One of the app's topics.", show_default=False)
]

PRODUCER = "pmstream-produce"
"""What collectors call it."""

_FLUSH_SECONDS = 30.0


def produce(
    app: AppName,
    topic: TopicName,
    *,
    type_name: Annotated[
        str, typer.Option("--type", help="The message's type, or its schema's full name.")
    ],
    text: Annotated[str | None, typer.Option("--json", help="One message.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="One message a line; - is standard input.")
    ] = None,
    key: Annotated[
        str,
        typer.Option(
            help="Field whose text is the record's key.",
            show_default="a command's key field; an event has no key",
        ),
    ] = "",
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Messages a second.", show_default="no limit")
    ] = None,
) -> None:
    """Writes messages into a source or command topic.

    Example: pmstream produce bank.payments:app bank.transfers --type MoneyTransferRequested
    --file transfers.ndjson --rate 100
    """
    if (text is None) == (file is None):
        raise ConfigurationError("give the messages by --json or by --file, one of the two")
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    encoder = messages.Encoder(the_app, topic, type_name, key)
    messages.existing(the_app, log, topic)
    with ExitStack() as stack:
        trail = stack.enter_context(tracing(settings, PRODUCER, exits.tell))
        lines: Iterable[str] = [text] if text is not None else _lines(file, stack)
        count = _write(log, topic, encoder, lines, rate, trail)
    print(f"{count} {'message' if count == 1 else 'messages'} written into {topic}")


def _lines(file: Path | None, stack: ExitStack) -> Iterable[str]:
    if file is None or str(file) == "-":
        return sys.stdin
    try:
        return stack.enter_context(file.open())
    except OSError as error:
        raise ConfigurationError(f"--file {file} cannot be read: {error.strerror}") from error


def _write(
    log: Log,
    topic: str,
    encoder: messages.Encoder,
    lines: Iterable[str],
    rate: float | None,
    trail: Trail | None,
) -> int:
    writer, begin, count = log.writer(), time.monotonic(), 0
    try:
        for number, line in enumerate(counted(lines, "messages"), 1):
            if not line.strip():
                continue
            try:
                record_key, value = encoder.encode(line)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"message {number}: {error} ({count} before it are written)"
                ) from error
            if rate is not None:
                time.sleep(max(begin + count / rate - time.monotonic(), 0))
            headers = encoder.headers + traced_headers(trail, topic)
            writer.produce(topic, value, record_key, headers)
            count += 1
    finally:
        writer.flush(_FLUSH_SECONDS)
    return count


def consume(
    app: AppName,
    topic: TopicName,
    *,
    since: Annotated[
        str, typer.Option("--from", help="origin, current, or partition:offset.")
    ] = "origin",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for more until Ctrl-C.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after so many.", show_default="none")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Shows committed records, decoded by schema; exit code 1 if any cannot be decoded.

    Example: pmstream consume bank.payments:app bank.account-commands --from 0:17 -o json
    """
    settings = Settings.load()
    the_app, log = load_app(app, settings), connect(settings)
    viewer = messages.Viewer(the_app, log)
    ends = bounds(log, messages.existing(the_app, log, topic))
    begin = messages.places(ends, since)
    records = _follow(log, begin) if follow else _once(log, begin, ends)
    bad = 0
    for count, record in enumerate(records, 1):
        shown = viewer.view(record)
        bad += bool(shown.error)
        _print(record, shown, output)
        if count == limit:
            break
    if bad:
        exits.tell(f"{bad} {'record' if bad == 1 else 'records'} of {topic} cannot be decoded")
        raise typer.Exit(exits.FOUND)


def _once(
    log: Log,
    begin: dict[TopicPartition, int],
    ends: Any,
) -> Iterator[Record]:
    for records in read_once(log, {place: (at, ends[place][1]) for place, at in begin.items()}):
        yield from records


def _follow(log: Log, begin: dict[TopicPartition, int]) -> Iterator[Record]:
    reader = log.reader()
    try:
        reader.assign(begin)
        while True:
            yield from reader.read(1_000, 0.5)
    finally:
        reader.close()


def _print(record: Record, shown: messages.Shown, output: Output) -> None:
    row = {
        "partition": record.partition,
        "offset": record.offset,
        "time": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(
            timespec="milliseconds"
        ),
        "key": _text(record.key),
        "type": shown.type or None,
        "value": shown.value,
        "headers": _headers(record.headers),
    }
    unread = record.value is not None and shown.value is None
    if output is Output.JSON:
        raw = {"error": shown.error or None, "raw": _text(record.value)} if unread else {}
        print_json(row | raw)
        return
    value = json.dumps(shown.value) if not unread else f"{len(record.value or b'')} bytes"
    headers = " ".join(f"{name}={each}" for name, each in row["headers"].items())
    parts = (f"{record.partition}:{record.offset}", row["time"], row["key"] or "-", shown.type)
    print("  ".join(str(each) for each in (*parts, value, shown.error, headers) if each))
    sys.stdout.flush()


def _headers(headers: Headers) -> dict[str, str | None]:
    return {name: _text(value) for name, value in headers}


def _text(value: bytes | None) -> str | None:
    """Text as it is; other bytes as hexadecimal digits behind 0x."""
    if value is None:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()
    return text if text.isprintable() else "0x" + value.hex()
