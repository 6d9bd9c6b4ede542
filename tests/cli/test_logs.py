"""Log lines: JSON in a pod, plain on a terminal, both say who and where."""

import json
import logging
from collections.abc import Iterator

import pytest

from pmstream.cli import logs
from pmstream.errors import Stopped


@pytest.fixture(autouse=True)
def logger() -> Iterator[None]:
    root = logging.getLogger("pmstream")
    before = (root.handlers, root.level, root.propagate)
    yield
    root.handlers, root.level, root.propagate = before


def test_off_a_terminal_a_line_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(app="bank", worker="host-1")

    logs.told("running", 3, "12 records restored")

    line = json.loads(capsys.readouterr().err)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "app": "bank",
        "worker": "host-1",
        "what": "running",
        "partition": 3,
        "text": "12 records restored",
    }


def test_on_a_terminal_it_is_plain(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    logs.set_up(app="bank", worker="host-1")

    logs.told("running", 3, "12 records restored")

    assert capsys.readouterr().err[13:] == "bank host-1: running 3 12 records restored\n"


def test_only_what_nobody_expected_has_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(app="bank")

    logs.ended(Stopped("an event failed"))
    logs.ended(ValueError("odd"))

    expected, odd = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert expected["text"] == "an event failed"
    assert "traceback" not in expected
    assert odd["text"] == "internal error, ValueError: odd"
    assert "ValueError: odd" in odd["traceback"]
