"""The pictures of traces show what the page says, and can be drawn again."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.book.pages import DOCS
from tests.book.picture import RETRY, TRANSFER, Row, svg

TREE = re.compile(r"^[ │├└─]+((?:send|route|process) [\w.-]+|handle|apply)", re.MULTILINE)


def texts(picture: str) -> list[str]:
    found = [(each.text or "").strip() for each in ET.fromstring(picture).iter()]
    return [each for each in found if each]


def test_the_picture_of_a_transfer_has_the_spans_of_the_tree_above_it() -> None:
    page = (DOCS / "tracing.md").read_text()
    tree = page.partition("## What a transfer looks like")[2].partition("![")[0]
    names = TREE.findall(tree)

    assert len(names) == 15
    assert [each for each in texts(TRANSFER.read_text()) if each in names] == names


@pytest.mark.parametrize("path", [TRANSFER, RETRY], ids=lambda path: path.name)
def test_a_picture_loads_nothing(path: Path) -> None:
    assert "href" not in path.read_text()
    assert "ended" in texts(path.read_text())


def test_spans_are_drawn_where_they_are_in_time() -> None:
    drawn = svg(
        [
            Row("send a", "shop", 0, 0, 1),
            Row("process <a>", "instances", 1, 50, 100, "retrying"),
            Row("process <a>", "instances", 0, 150, 200, "ended", 1),
        ],
        "Three & three",
    )

    told = texts(drawn)
    assert told[0] == "Three & three"
    assert [each for each in told if "ms" not in each][-6:] == [
        "send a",
        "process <a>",
        "retrying",
        "a trace of its own, linked to the one above:",
        "process <a>",
        "ended",
    ]
    bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="12"', drawn)[-3:]
    assert [float(long) for _, long in bars] == pytest.approx([2.8, 140, 140])
    assert float(bars[2][0]) - float(bars[1][0]) == pytest.approx(280)
