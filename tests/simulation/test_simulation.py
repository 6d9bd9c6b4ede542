"""Many interleavings, each from a seed: whatever dies, stalls or is cut off, nothing is wrong.

PMSTREAM_TEST_SCHEDULES says how many (500), PMSTREAM_TEST_FIRST_SEED where to begin (0); `-s` shows
how often each action and state was reached. A failing seed prints a short script of what it takes.
"""

import os
from collections import Counter
from pathlib import Path

import pytest

from pmstream.runtime import batch, restores, roles
from tests.simulation import schedule
from tests.simulation.author import make_codec

SCHEDULES = int(os.environ.get("PMSTREAM_TEST_SCHEDULES", "500"))
FIRST_SEED = int(os.environ.get("PMSTREAM_TEST_FIRST_SEED", "0"))
CHUNKS = 5
"""Tests that share the schedules, so that several processes can run them."""

REGRESSIONS = [
    line
    for line in (Path(__file__).parent / "regressions.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restores and drains in many small pieces; schemas are read once."""
    monkeypatch.setattr(restores, "CHUNK_RECORDS", 2)
    monkeypatch.setattr(batch, "DRAIN_LIMIT", 2)
    monkeypatch.setattr(roles, "Codec", make_codec)


def judge(script: list[str], name: str) -> Counter[str]:
    """Runs a script; a failing one is shrunk and told."""
    outcome = schedule.run(script)
    if outcome.fault:
        short = schedule.shrink(script)
        lines = "\n".join(short)
        pytest.fail(
            f"{name} fails: {outcome.fault}\n\nThis is enough of it:\n\n{lines}\n\n"
            f"which tells: {schedule.run(short).fault}\n\nAs a line of regressions.txt:\n"
            + "; ".join(short),
            pytrace=False,
        )
    return outcome.seen


@pytest.mark.parametrize("line", REGRESSIONS)
def test_what_once_failed(line: str) -> None:
    script = schedule.make(int(line)) if line.isdigit() else line.split("; ")
    judge(script, line)


@pytest.mark.slow
@pytest.mark.timeout(0)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_nothing_wrong_comes_out_of_any_schedule(chunk: int) -> None:
    seen: Counter[str] = Counter()
    for seed in range(FIRST_SEED + chunk, FIRST_SEED + SCHEDULES, CHUNKS):
        seen += judge(schedule.make(seed), f"seed {seed}")
    for name, count in sorted(seen.items()):
        print(f"{count:9} {name}")  # noqa: T201
    expected = schedule.OFTEN if SCHEDULES >= 500 else set()
    if SCHEDULES // CHUNKS >= 1_000:
        expected = expected | schedule.SELDOM
    assert not expected - (+seen).keys(), "never reached"
