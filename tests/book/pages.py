"""Which parts of which pages are made from the code, and how."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from tests.book import cluster, limits, settings, tables
from tests.book.command_line import command_line
from tests.book.public import api
from tests.deployment.helm import values_table

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
    DOCS / "security.md": {"PERMISSIONS": tables.permissions, "LIMITS": limits.limits},
    DOCS / "tracing.md": {
        "TRACING": lambda: settings.settings("trac"),
        "MEANINGS": tables.attributes,
    },
    DOCS / "reference" / "api.md": {"API": api},
    DOCS / "reference" / "settings.md": {
        "SETTINGS": settings.settings,
        "CONTRADICTIONS": settings.contradictions,
        "OTHERS": settings.others,
    },
    DOCS / "reference" / "cli.md": {"EXITS": cluster.exit_codes, "CLI": command_line},
    DOCS / "reference" / "cluster.md": {
        "TOPICS": cluster.owned_topics,
        "NAMES": cluster.cluster_names,
        "HEADERS": cluster.headers,
    },
    DOCS / "reference" / "helm.md": {"VALUES": lambda: iter(values_table.table().splitlines())},
}


def written(path: Path) -> str:
    """The page with its parts made anew."""
    page = path.read_text()
    for name, lines in PAGES[path].items():
        head = BEGIN.format(name)
        before, _, rest = page.partition(head)
        _, _, after = rest.partition(END)
        made = "\n".join(lines()).strip("\n")
        page = f"{before}{head}\n\n{made}\n\n{END}{after}"
    return page
