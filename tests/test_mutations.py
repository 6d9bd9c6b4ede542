"""The table of protocol bugs fits the tree: `just mutations` finds what it wants to change."""

import ast

import pytest

from tests.mutants import MUTATIONS
from tests.mutants.mutation import Mutation
from tests.mutants.ten import TEN
from tests.mutations import NO_SHRINKING, ROOT, mutated


@pytest.mark.parametrize("mutation", [NO_SHRINKING, *MUTATIONS], ids=lambda each: each.name)
def test_a_bug_can_be_planted(mutation: Mutation) -> None:
    for file, text in mutated(mutation, ROOT).items():
        ast.parse(text)
        assert text != (ROOT / file).read_text()


def test_all_ten_are_there() -> None:
    assert {int(each.name.split()[0]) for each in TEN} == set(range(1, 11))
