"""The chart, rendered: what the tests of this folder ask for."""

import json
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct

from tests.deployment.tools import ROOT, with_python_tools

CHART = ROOT / "helm" / "pmstream"
MODES = tuple(sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir()))
CRDS = sorted((Path(__file__).parent / "crds").glob("*.json"))
VERSIONS = ("1.30", "1.33", "1.37")
"""Of Kubernetes: the oldest that the chart takes, one between, the newest with a schema."""

Document = dict[str, Any]


class Case(Struct, frozen=True):
    """Values to render with.

    Attributes:
        values: by themselves, or
        mode: of ci/.
        revision: 1 is an installation.
        validated: hold it to the schemas of Kubernetes, too.
    """

    values: dict[str, Any] | None = None
    mode: str = ""
    revision: int = 1
    validated: bool = False


class Rendered(Struct, frozen=True):
    """What came of it: objects and notes, or the error."""

    values: dict[str, Any]
    error: str
    notes: str = ""
    documents: list[Document] = []
    faults: list[str] = []

    def of(self, kind: str, component: str = "") -> list[Document]:
        """Objects of a kind, and of a component if one is named."""
        return [
            each
            for each in self.documents
            if each["kind"] == kind
            and component in ("", each["metadata"]["labels"].get("app.kubernetes.io/component"))
        ]

    def one(self, kind: str, component: str = "") -> Document:
        """The only one."""
        (found,) = self.of(kind, component)
        return found


def render(*cases: Case, chart: Path = CHART) -> list[Rendered]:
    """Renders all in one process; loading Helm costs more than rendering."""
    order = {
        "chart": str(chart),
        "crds": [str(each) for each in CRDS],
        "versions": VERSIONS,
        "cases": [_order(each, chart) for each in cases],
    }
    script = Path(__file__).parent / "helm_script.py"
    answers = json.loads(with_python_tools(script, json.dumps(order)))
    return [Rendered(**each) for each in answers]


def _order(case: Case, chart: Path) -> dict[str, Any]:
    which: dict[str, Any] = {"values": case.values or {}}
    if case.mode:
        which = {"file": str(chart / "ci" / f"{case.mode}-values.yaml")}
    return {
        "release": "bank",
        "namespace": "prod",
        "revision": case.revision,
        "validated": case.validated,
        **which,
    }


@cache
def modes() -> dict[str, Rendered]:
    """Every mode of ci/, held to the schemas."""
    found = render(*(Case(mode=mode, validated=True) for mode in MODES))
    return dict(zip(MODES, found, strict=True))


def containers(documents: Iterable[Document]) -> list[tuple[Document, Document]]:
    """(pod's spec, container) of all that run something."""
    return [
        (pod, container)
        for each in documents
        if (pod := pod_of(each)) is not None
        for container in pod["containers"]
    ]


def pod_of(document: Document) -> Document | None:
    """The pod's spec of a workload, a job or a pod."""
    template = template_of(document)
    return None if template is None else template["spec"]


def template_of(document: Document) -> Document | None:
    """What a pod is made from."""
    match document["kind"]:
        case "Pod":
            return document
        case "StatefulSet" | "Deployment" | "Job":
            found: Document = document["spec"]["template"]
            return found
        case "CronJob":
            made: Document = document["spec"]["jobTemplate"]["spec"]["template"]
            return made
    return None


def environment(container: Document) -> dict[str, str]:
    """What it finds in its environment, values that are written there."""
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def merged(*values: dict[str, Any]) -> dict[str, Any]:
    """As Helm merges values files: the later wins, maps are merged."""
    found: dict[str, Any] = {}
    for each in values:
        for name, value in each.items():
            old = found.get(name)
            if isinstance(old, dict) and isinstance(value, dict):
                found[name] = merged(old, value)
            else:
                found[name] = value
    return found


def names(documents: Sequence[Document]) -> list[str]:
    """Kind/name of each."""
    return [f"{each['kind']}/{each['metadata']['name']}" for each in documents]
