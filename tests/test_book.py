"""The tables of the book are those of the code."""

from tests.book import BEGIN, PAGE, TABLES, written


def test_the_tables_of_the_semantics_page_are_the_codes() -> None:
    page = PAGE.read_text()

    assert all(BEGIN.format(name) in page for name in TABLES)
    assert written(page) == page, "run `python -m tests.book`"
