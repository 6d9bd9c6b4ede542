"""Builds the book as a site, strictly: `python -m tests.book.site`, with `serve` for authors.

Rule: the builder's own strictness is not trusted. What it wrote is read again: every link and every
anchor leads somewhere, every page is in the navigation, nothing is loaded from elsewhere.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from tests.deployment.tools import ROOT, python_tools, run

LOCK = ROOT / "requirements" / "docs.lock"
CONFIG = "mkdocs.yml"
_IN_NAV = re.compile(r"^ +- (?:.+: )?(\S+\.md)$", re.MULTILINE)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_WARNING = re.compile(r"Warning: (.+)\n\W*\[ (\S+) \]")
_DECISIONS = "adr/README.md"
_LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
_FOREIGN = {"mermaid", "glightbox", "pyodide"}
"""Classes of elements for which the theme would load scripts from elsewhere."""

_UNLOADED_LINKS = {"canonical", "next", "prev", "alternate"}


class Page(HTMLParser):
    """One page of the site: what may be linked to, what it links to, what it loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors, self.links, self.loads = set[str](), list[str](), list[str]()
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors.update(given[name] for name in ("id", "name") if name in given)
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        for kind in _FOREIGN & set(given.get("class", "").split()):
            self.loads.append(f"a script from elsewhere, for {kind}")
        loaded = given.get(_LOADED.get(tag, ""))
        if loaded and given.get("rel") not in _UNLOADED_LINKS:
            self.loads.append(loaded)


def build(folder: Path = ROOT) -> list[str]:
    """Builds `folder`/site from its mkdocs.yml and docs/; answers what is wrong, in sentences."""
    done = _zensical(folder, "build", "--strict", "--clean")
    if done.returncode:
        return _refusals(_COLOURS.sub("", done.stdout + done.stderr))
    return [*_navigation(folder), *_site(folder / "site")]


def _zensical(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    tools = python_tools(LOCK)
    command = [sys.executable, "-m", "zensical", *words]
    return run(command, cwd=folder, environment={"PYTHONPATH": str(tools), "NO_COLOR": "1"})


def _refusals(said: str) -> list[str]:
    """What the builder said, without its drawings and its traceback."""
    found = [f"docs/{where}: {what}" for what, where in _WARNING.findall(said)]
    return found or [f"the builder failed:\n{said}"]


def _navigation(folder: Path) -> Iterator[str]:
    listed = _IN_NAV.findall((folder / CONFIG).read_text())
    docs = folder / "docs"
    there = {str(each.relative_to(docs)) for each in docs.rglob("*.md")}
    if _DECISIONS in listed:  # whose table is the navigation of the decisions
        found = re.findall(r"\((\d+-.+?\.md)\)", (docs / _DECISIONS).read_text())
        listed += [f"adr/{each}" for each in found]
    for name in sorted(there - set(listed)):
        yield f"docs/{name} is not in the nav of {CONFIG}"
    for name in sorted(set(listed) - there):
        yield f"the nav of {CONFIG} names {name}, which is not in docs/"
    for name in sorted({name for name in listed if listed.count(name) > 1}):
        yield f"the nav of {CONFIG} names {name} twice"


def _site(site: Path) -> Iterator[str]:
    pages = {path: Page(path) for path in sorted(site.rglob("*.html"))}
    for path, page in pages.items():
        if path.name == "404.html":  # served at any path, so its links are the server's root's
            continue
        name = path.relative_to(site)
        for loaded in page.loads:
            if urlsplit(loaded).netloc or not _target(site, path, loaded).is_file():
                yield f"{name} loads {loaded}, which is no file of the site"
        for link in page.links:
            if urlsplit(link).scheme or urlsplit(link).netloc:
                continue
            target, anchor = _target(site, path, link), unquote(urldefrag(link).fragment)
            if not target.is_file():
                yield f"{name} links to {link}, which is not there"
            elif anchor and target in pages and anchor not in pages[target].anchors:
                yield f"{name} links to {link}: {target.name} has no such anchor"


def _target(site: Path, path: Path, link: str) -> Path:
    file = unquote(urlsplit(link).path)
    found = path if not file else Path(os.path.normpath(path.parent / file))
    return found / "index.html" if found.is_dir() else found


def main(words: list[str]) -> int:
    """Builds, or serves until Ctrl-C."""
    if words[:1] == ["serve"]:
        tools = python_tools(LOCK)
        environment = {**os.environ, "PYTHONPATH": str(tools)}
        command = [sys.executable, "-m", "zensical", *words]
        return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    faults = build()
    for each in faults:
        sys.stderr.write(f"{each}\n")
    if not faults:
        sys.stdout.write("site/index.html is built, and every link in the site leads somewhere\n")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
