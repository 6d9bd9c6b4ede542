"""Is F<n> tested on the tiers asked? This file answers."""

import ast
import re
from pathlib import Path

import pytest

from tests.faults.table import FAULTS, NOT_YET, PARTLY

_NAME = re.compile(r"test_f(\d+)_([mks])_")


def shown() -> set[tuple[int, str]]:
    """(fault, tier) of every test in this folder, by its name."""
    found = set()
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            name = _NAME.match(node.name) if isinstance(node, ast.FunctionDef) else None
            if name is not None:
                found.add((int(name[1]), name[2].upper()))
    return found


ASKED = [(number, tier) for number, (tiers, _) in FAULTS.items() for tier in tiers]


@pytest.mark.parametrize(("number", "tier"), ASKED, ids=str)
def test_a_fault_is_tested_on_the_tier_asked(number: int, tier: str) -> None:
    if (number, tier) in NOT_YET:
        assert (number, tier) not in shown(), f"F{number} {tier} is tested: strike its 'not yet'"
    else:
        assert (number, tier) in shown(), f"F{number} {tier}: {FAULTS[number][1]}"


def test_no_test_and_no_excuse_is_of_a_fault_that_nobody_knows() -> None:
    numbers = {number for number, _ in shown() | NOT_YET.keys()} | PARTLY.keys()
    assert numbers <= FAULTS.keys()
