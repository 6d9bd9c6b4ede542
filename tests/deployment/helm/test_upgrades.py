"""Upgrades: what Kubernetes lets nobody change stays as it is, whatever values change."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.helm.chart import (
    CHART,
    MODES,
    Case,
    Document,
    Rendered,
    merged,
    modes,
    render,
)

CHANGES: dict[str, Any] = {
    "image": {"tag": "9.9.9"},
    "instances": {"replicas": 1, "podLabels": {"team": "payments"}, "resources": {}},
    "settings": {"max_batch_records": 500},
    "minReadySeconds": 1,
    "health": {"port": 9999},
    "restart": {"maxRestarts": 3},
    "appValues": {"tenant": "other"},
}
"""What people change from day to day."""

CHANGEABLE = {
    "StatefulSet": {
        "replicas",
        "ordinals",
        "template",
        "updateStrategy",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
        "revisionHistoryLimit",
    },
    "Deployment": {"replicas", "template", "strategy", "minReadySeconds", "revisionHistoryLimit"},
    "Job": {"parallelism", "suspend", "activeDeadlineSeconds", "backoffLimit"},
}
"""Of a spec, by Kubernetes' rules; all else of these kinds is fixed."""


def fixed(rendered: Rendered) -> dict[str, Document]:
    """What must stay, of objects that an upgrade updates (hooks are made anew)."""
    found = {}
    for each in rendered.documents:
        kind, metadata = each["kind"], each["metadata"]
        if "helm.sh/hook" in metadata.get("annotations", {}):
            continue
        if kind in CHANGEABLE:
            spec = each["spec"].items()
            left = {name: value for name, value in spec if name not in CHANGEABLE[kind]}
            found[f"{kind}/{metadata['name']}"] = left
        elif kind == "Service":
            found[f"{kind}/{metadata['name']}"] = {"clusterIP": each["spec"]["clusterIP"]}
    return found


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, two releases later."""
    folder = tmp_path_factory.mktemp("newer") / "pmstream"
    shutil.copytree(CHART, folder)
    chart = folder / "Chart.yaml"
    chart.write_text(chart.read_text().replace("0.1.0", "0.3.0"))
    return folder


def test_no_mode_changes_what_is_fixed(newer: Path) -> None:
    before = [modes()[mode] for mode in MODES]
    changed = [Case(values=merged(each.values, CHANGES), revision=2) for each in before]

    after = render(*changed, chart=newer)

    for mode, old, new in zip(MODES, before, after, strict=True):
        assert new.error == "", mode
        assert all("0.3.0" in str(each["metadata"]["labels"]) for each in new.documents)
        stays, comes = fixed(old), fixed(new)
        jobs = {name for name in stays if name.startswith("Job/")}
        assert jobs.isdisjoint(comes), "a job's template is fixed: each revision has its own"
        assert {name: each for name, each in comes.items() if not name.startswith("Job/")} == {
            name: stays[name] for name in stays.keys() - jobs
        }, mode


def test_the_comparison_sees_what_would_be_refused() -> None:
    old, larger = render(
        Case(mode="default"),
        Case(values=merged(modes()["default"].values, {"instances": {"storage": {"size": "1Ti"}}})),
    )

    assert fixed(old) != fixed(larger)


def test_what_is_fixed_is_what_was_released() -> None:
    # Whoever changes one of these lines breaks `helm upgrade` of every release there is.
    found = fixed(modes()["minimal"])

    assert found == {
        "StatefulSet/bank-pmstream-instances": {
            "selector": {"matchLabels": labels("instances")},
            "serviceName": "bank-pmstream-instances",
            "podManagementPolicy": "Parallel",
            "volumeClaimTemplates": [
                {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "metadata": {"name": "state", "labels": labels()},
                    "spec": {
                        "accessModes": ["ReadWriteOnce"],
                        "resources": {"requests": {"storage": "10Gi"}},
                    },
                }
            ],
        },
        "StatefulSet/bank-pmstream-router": {
            "selector": {"matchLabels": labels("router")},
            "serviceName": "bank-pmstream-router",
            "podManagementPolicy": "Parallel",
        },
        "Service/bank-pmstream-instances": {"clusterIP": "None"},
        "Service/bank-pmstream-router": {"clusterIP": "None"},
    }


def labels(component: str = "") -> dict[str, str]:
    plain = {"app.kubernetes.io/name": "pmstream", "app.kubernetes.io/instance": "bank"}
    return plain | ({"app.kubernetes.io/component": component} if component else {})
