"""The tables of the book are those of the code."""

from pathlib import Path

import pytest

from tests.book.pages import BEGIN, PAGES, written


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_the_tables_of_a_page_are_the_codes(path: Path) -> None:
    page = path.read_text()

    assert all(BEGIN.format(name) in page for name in PAGES[path])
    assert written(path) == page, "run `python -m tests.book`"
