"""Which parts of which pages are made from the code, and how."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.book import tables

DOCS = Path(__file__).parent.parent.parent / "docs"
BEGIN, END = "<!-- generated from {}: python -m tests.book -->", "<!-- end -->"

Made = Mapping[str, Callable[[], Iterator[str]]]

PAGES: dict[Path, Made] = {
    DOCS / "semantics.md": {
        "ROUTES": tables.routes,
        "LEGAL": tables.legal,
        "LIFECYCLE": tables.lifecycle,
    },
    DOCS / "metrics.md": {"METRICS": tables.metrics},
    DOCS / "security.md": {"PERMISSIONS": tables.permissions},
    DOCS / "tracing.md": {"MEANINGS": tables.attributes},
}


def written(path: Path) -> str:
    """The page with its parts made anew."""
    page = path.read_text()
    for name, lines in PAGES[path].items():
        head = BEGIN.format(name)
        before, _, rest = page.partition(head)
        _, _, after = rest.partition(END)
        page = "\n".join([f"{before}{head}", *lines(), f"{END}{after}"])
    return page
