"""What pip-audit's answers mean; that nothing was said is never taken for "nothing known"."""

import json
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.supply.audit import DONE, OUT_OF_REACH, WEAK, judged

WELL = {"name": "idna", "version": "3.10", "vulns": []}
ILL = {
    "name": "zipp",
    "version": "1.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.19.1"], "aliases": []}],
}
UNTOLD = {"name": "six", "skip_reason": "Dependency not found"}


def answer(*packages: Any) -> CompletedProcess[str]:
    return CompletedProcess([], 0, json.dumps({"dependencies": packages, "fixes": []}), "")


@pytest.mark.parametrize(
    ("done", "code", "said"),
    [
        (answer(WELL), DONE, "nothing is known against its 1 packages"),
        (answer(WELL, ILL, UNTOLD), WEAK, "zipp 1.0: PYSEC-1 (mended in 3.19.1)"),
        (answer(WELL, UNTOLD), OUT_OF_REACH, "1 of 2 packages (six)"),
        (answer(), OUT_OF_REACH, "0 of 0 packages"),
        (CompletedProcess([], 1, "", "x\nno route to host"), OUT_OF_REACH, "no route to host"),
        (CompletedProcess([], 1, "[", ""), OUT_OF_REACH, "said nothing"),
    ],
)
def test_an_answer(done: CompletedProcess[str], code: int, said: str) -> None:
    found, [line] = judged("image.lock", done)

    assert found == code
    assert line.startswith("image.lock: ")
    assert said in line
