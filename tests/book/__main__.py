"""Writes what the pages take from the code: `python -m tests.book`."""

from tests.book.pages import PAGES, written

if __name__ == "__main__":
    for each in PAGES:
        each.write_text(written(each))
