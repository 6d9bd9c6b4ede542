"""What the makers of pages share: rows, and text that Markdown must not take for markup."""

import re
from collections.abc import Iterable, Iterator

_CODE = re.compile(r"(`[^`]*`)")


def row(cells: Iterable[str]) -> str:
    """One line of a table; cells may hold no line break."""
    return f"| {' | '.join(cells)} |"


def table(head: list[str], rows: Iterable[list[str]]) -> Iterator[str]:
    """A table, line by line."""
    yield row(head)
    yield row("---" for _ in head)
    yield from (row(each) for each in rows)


def plain(text: str) -> str:
    """A sentence of the code as Markdown: what stands outside of backticks is no markup."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(each if each.startswith("`") else _escaped(each) for each in parts)


def cell(text: str) -> str:
    """The same for a cell of a table."""
    return plain(text).replace("|", "\\|")


def _escaped(text: str) -> str:
    return re.sub(r"([<*\[\]])", r"\\\1", text)
