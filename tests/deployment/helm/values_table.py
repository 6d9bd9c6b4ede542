"""The table of the chart's values in its README, made from the comments in values.yaml.

`just helm-readme` writes it; a test says when it is old.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tests.deployment.helm.chart import CHART

README = CHART / "README.md"
BEGIN, END = "<!-- values: made by `just helm-readme` -->", "<!-- values end -->"
_KEY = re.compile(r"(?P<indent> *)(?P<name>[\w]+):(?: (?P<value>.*))?$")


class Line(NamedTuple):
    """One value: its path, what values.yaml says, what it is for ("" if nothing says so)."""

    path: str
    default: str
    meaning: str


def lines(text: str) -> Iterator[Line]:
    """All values of values.yaml that hold something themselves."""
    stack: list[str] = []
    meaning, within = "", -1
    for line in text.splitlines():
        comment = re.match(r" *# -- (.*)", line)
        key = _KEY.match(line)
        if comment:
            meaning = comment.group(1)
        elif key and not (within >= 0 and len(key["indent"]) > within):
            within = -1
            depth = len(key["indent"]) // 2
            stack[depth:] = [key["name"]]
            if key["value"] is None and meaning:
                yield Line(".".join(stack), "see values.yaml", meaning)
                within = len(key["indent"])
            elif key["value"] is not None:
                yield Line(".".join(stack), key["value"], meaning)
            meaning = ""


def table() -> str:
    """In Markdown."""
    rows = (
        f"| `{each.path}` | {_shown(each.default)} | {_cell(each.meaning)} |" for each in all_()
    )
    return "\n".join(["| value | default | meaning |", "|---|---|---|", *rows])


def all_() -> list[Line]:
    """Of our chart."""
    return list(lines((CHART / "values.yaml").read_text()))


def _shown(default: str) -> str:
    return default if default.startswith("see") else f"`{default}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def readme() -> str:
    """What README.md should be."""
    head, _, rest = README.read_text().partition(BEGIN)
    return f"{head}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    README.write_text(readme())
