"""The demo's last line, when all is well and when it is not."""

import json

import pytest

from pmstream.cli.demo_check import Verdict
from pmstream.cli.demo_play import _print, _told
from pmstream.cli.demo_run import Plan, Progress
from pmstream.cli.output import Output

PLAN = Plan(transfers=10, workers=2, kills=1, rate=0, seed=1)
PROGRESS = Progress(
    seconds=2.04, total=10, sent=10, started=10, completed=7, kills=1, lags={"bank": 3}
)


def line(verdict: Verdict | None, stuck: str, capsys: pytest.CaptureFixture[str]) -> str:
    _print({"kafka": "4.3.1", **_told(PLAN, PROGRESS, verdict, stuck)}, Output.JSON)
    return capsys.readouterr().out


def test_all_is_well(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict(transfers=10, completed=10, commands=20)

    assert line(verdict, "", capsys) == (
        '{"kafka": "4.3.1", "transfers": 10, "completed": 10, "commands": 20, "lost": 0, '
        '"duplicated": 0, "open": 0, "kills": 1, "seconds": 2.0}\n'
    )


def test_money_that_does_not_agree_adds_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    faults = ["2 accounts with a wrong balance"]
    verdict = Verdict(transfers=10, completed=10, commands=20, money=2, faults=faults)

    summary = json.loads(line(verdict, "", capsys))

    assert summary["money"] == 2
    assert summary["faults"] == faults


def test_a_transfer_that_is_not_completed_is_a_fault_in_itself(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = Verdict(transfers=10, completed=9, commands=20)

    assert json.loads(line(verdict, "", capsys))["faults"] == ["not every transfer is completed"]


def test_a_demo_that_is_stuck_tells_what_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    summary = json.loads(line(None, "no progress for 120 s", capsys))

    assert (summary["completed"], summary["open"]) == (7, 3)
    assert summary["faults"] == ["no progress for 120 s"]


def test_a_demo_that_is_stuck_tells_what_the_topics_say_too(
    capsys: pytest.CaptureFixture[str],
) -> None:
    verdict = Verdict(transfers=10, completed=7, lost=2, open=3, faults=["2 messages lost"])

    summary = json.loads(line(verdict, "no progress for 120 s", capsys))

    assert (summary["lost"], summary["open"]) == (2, 3)
    assert summary["faults"] == ["no progress for 120 s", "2 messages lost"]


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (Verdict(transfers=10, completed=10, commands=20), "0 lost, 0 duplicated, 0 open"),
        (Verdict(transfers=10, completed=9, lost=1, faults=["1 messages lost"]), "WRONG: 1 mess"),
    ],
)
def test_people_get_sentences(
    verdict: Verdict, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _print({"kafka": "4.3.1", **_told(PLAN, PROGRESS, verdict, "")}, Output.TABLE)

    assert words in capsys.readouterr().out
