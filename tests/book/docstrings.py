"""Docstrings in Google's style as Markdown."""

import inspect
import re
from collections.abc import Iterator, Mapping

from tests.book.markdown import plain

_SECTION = re.compile(r"(Args|Attributes|Raises|Returns):")
_ITEM = re.compile(r"(\*{0,2}[A-Za-z_][\w.]*(?:, \*{0,2}[A-Za-z_][\w.]*)*): (.*)")
_TITLES = {"Args": "", "Attributes": "", "Raises": "Raises", "Returns": "Answers"}


def markdown(text: str | None, defaults: Mapping[str, object] = {}) -> Iterator[str]:
    """Its paragraphs, then its sections: lists of names, each with what it is for.

    Args:
        text: the docstring.
        defaults: what names have unless they are set; told behind their meaning.
    """
    for block in _blocks(inspect.cleandoc(text or "")):
        head, *rest = block
        section = _SECTION.fullmatch(head)
        if section is None:
            yield plain(" ".join(block))
        elif _TITLES[section[1]] and not list(_items(rest)):
            yield f"*{_TITLES[section[1]]}*: {plain(' '.join(rest))}"
        else:
            if title := _TITLES[section[1]]:
                yield f"*{title}*:"
                yield ""
            for name, what in _items(rest):
                default = f" Default: `{defaults[name]!r}`." if name in defaults else ""
                yield f"- `{name}`: {plain(what)}{default}"
        yield ""


def attributes(text: str | None) -> list[tuple[str, str]]:
    """The names of its section Attributes, as they stand there, and what they mean."""
    blocks = _blocks(inspect.cleandoc(text or ""))
    return [each for block in blocks if block[0] == "Attributes:" for each in _items(block[1:])]


def paragraphs(text: str) -> Iterator[str]:
    """Each on one line."""
    yield from (" ".join(each.split()) for each in inspect.cleandoc(text).split("\n\n") if each)


def _blocks(text: str) -> Iterator[list[str]]:
    """Paragraphs; a section is one, whatever empty lines are in it."""
    block: list[str] = []
    for line in text.splitlines():
        within = bool(block) and _SECTION.fullmatch(block[0]) is not None
        if block and ((not line.strip() and not within) or _SECTION.fullmatch(line)):
            yield block
            block = []
        if line.strip():
            block.append(line)
    if block:
        yield block


def _items(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Names and meanings; a line that is indented further goes on with the one before."""
    found: list[list[str]] = []
    for line in lines:
        item = _ITEM.match(line.strip())
        if item and len(line) - len(line.lstrip()) == 4:
            found.append([item[1], item[2]])
        elif found:
            found[-1][1] += f" {line.strip()}"
    yield from ((name, what) for name, what in found)
