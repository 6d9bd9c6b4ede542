"""The book builds strictly, and what is wrong in it is found: `just docs`."""

import re
import shutil
from pathlib import Path

from tests.book.site import CONFIG, build
from tests.deployment.tools import ROOT

ADDRESS = re.compile(r"https?://(?!www\.w3\.org|[\w.]*fontawesome\.com)[\w.-]+/(?:pyodide|[a-z-]+)")
ONLY_IF_ASKED = {
    "https://api.github.com/repos",  # for a repo_url, which mkdocs.yml does not name
    "https://api.github.com/users",
    "https://cdn.jsdelivr.net/pyodide",
    "https://unpkg.com/ace-builds",
    "https://unpkg.com/glightbox",
    "https://unpkg.com/mermaid",
    "https://unpkg.com/pyodide",
    "https://unpkg.com/resize-observer-polyfill",  # for browsers of before 2020
}
"""What the theme's scripts would load, each for something that no page of ours has."""

LITTLE = "site_name: little\ntheme: {name: material, font: false}\nuse_directory_urls: false\n"


def test_the_book_builds_and_every_link_leads_somewhere(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / CONFIG, tmp_path)

    assert build(tmp_path) == []
    scripts = "".join(each.read_text() for each in (tmp_path / "site" / "assets").rglob("*.js"))
    assert set(ADDRESS.findall(scripts)) <= ONLY_IF_ASKED


def test_links_to_no_page_and_no_heading_are_found(tmp_path: Path) -> None:
    text = "[a](nowhere.md)\n[b](other.md#nope)\n[c](#nope)\n"

    assert build(little_book(tmp_path, text)) == [
        "docs/index.md:3:5: page does not exist",
        "docs/index.md:4:14: anchor does not exist",
        "docs/index.md:5:6: anchor does not exist",
    ]


def test_what_the_builder_lets_through_is_found(tmp_path: Path) -> None:
    text = """[a](../secret.py) <a href="other.html#nope">b</a>
        <img src="https://example.com/a.svg"> <img src="missing.svg" class="glightbox">"""
    folder = little_book(tmp_path, text)
    (folder / "docs" / "third.md").write_text("# Third\n")

    assert sorted(build(folder)) == [
        "docs/third.md is not in the nav of mkdocs.yml",
        "index.html links to ../secret.py, which is not there",
        "index.html links to other.html#nope: other.html has no such anchor",
        "index.html loads a script from elsewhere, for glightbox, which is no file of the site",
        "index.html loads https://example.com/a.svg, which is no file of the site",
        "index.html loads missing.svg, which is no file of the site",
    ]


def little_book(folder: Path, text: str) -> Path:
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(f"# Home\n\n{text}\n")
    (folder / "docs" / "other.md").write_text("# Other\n")
    (folder / CONFIG).write_text(f"{LITTLE}nav:\n  - index.md\n  - other.md\n")
    return folder
