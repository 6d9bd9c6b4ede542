"""Every kind of finding: has a code of its own, a remedy, and a line in the docs."""

from pathlib import Path

import pytest

from pmstream.operate.doctor import Kind, Severity, kinds
from pmstream.operate.doctor.catalogue import MODULES

DOCS = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()


def test_codes_are_not_used_twice() -> None:
    all_of_them = [
        each.code for m in MODULES for each in vars(m).values() if isinstance(each, Kind)
    ]

    assert len(all_of_them) == len(set(all_of_them)) > 50


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_a_kind_of_finding_is_in_the_docs_with_its_remedy(kind: Kind) -> None:
    line = f"| `{kind.code}` | {kind.severity} | {kind.meaning} | {kind.remedy} |"

    assert line in DOCS


@pytest.mark.parametrize("kind", kinds().values(), ids=kinds())
def test_what_is_wrong_has_a_remedy_and_what_is_fine_has_none(kind: Kind) -> None:
    assert bool(kind.remedy) is (kind.severity is not Severity.OK)


def test_the_docs_tell_of_no_finding_that_does_not_exist() -> None:
    told = [line.split("`")[1] for line in DOCS.splitlines() if line.startswith("| `")]

    assert set(told) == set(kinds())
