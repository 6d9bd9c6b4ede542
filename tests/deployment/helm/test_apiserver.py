"""The chart in a real Kubernetes API server: `just helm-apiserver`, minutes the first time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.deployment.cluster.control_plane import Cluster, running
from tests.deployment.cluster.programs import programs
from tests.deployment.helm.chart import CHART, merged, modes
from tests.deployment.tools import with_python_tools

pytestmark = [
    pytest.mark.skipif("PMSTREAM_TEST_APISERVER" not in os.environ, reason="just helm-apiserver"),
    pytest.mark.timeout(3_600),
]

PLAIN = ("minimal", "default", "scram", "mtls", "direct", "deployment", "replay")
"""Modes without custom resources."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(programs(), tmp_path_factory.mktemp("cluster")) as found:
        yield found


def namespace(cluster: Cluster, name: str) -> None:
    """One that admits restricted pods only, and has the Secrets that modes name."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
    cluster.ask("/api/v1/namespaces", made)


def helm(cluster: Cluster, *steps: dict[str, Any]) -> list[str]:
    """What was wrong with each step; "" is nothing."""
    order = {
        "chart": str(CHART),
        "kubeconfig": str(cluster.kubeconfig),
        "timeout": 300,
        "steps": steps,
    }
    script = Path(__file__).parent / "install_script.py"
    answers = with_python_tools(script, json.dumps(order))
    return [each["error"] for each in json.loads(answers)]


def step(verb: str, name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"verb": verb, "namespace": name, "values": values}


def ready(cluster: Cluster, name: str, kind: str) -> dict[str, int]:
    found = cluster.ask(f"/apis/apps/v1/namespaces/{name}/{kind}")["items"]
    return {each["metadata"]["name"]: each["status"].get("readyReplicas", 0) for each in found}


@pytest.mark.parametrize("mode", PLAIN)
def test_a_mode_is_installed_and_its_pods_are_admitted(cluster: Cluster, mode: str) -> None:
    values, place = modes()[mode].values, f"mode-{mode}"
    namespace(cluster, place)

    assert helm(cluster, step("install", place, values)) == [""]

    kind = "deployments" if mode == "deployment" else "statefulsets"
    found = ready(cluster, place, kind)
    replicas = values.get("instances", {}).get("replicas", 2)
    assert found["bank-pmstream-instances"] == replicas
    assert ("bank-pmstream-router" in found) is (mode != "direct")


def test_an_upgrade_is_taken_and_what_is_fixed_is_refused(cluster: Cluster) -> None:
    values = merged(modes()["minimal"].values, {"minReadySeconds": 1})
    namespace(cluster, "upgrades")
    change = {"image": {"tag": "2.0.0"}, "instances": {"replicas": 3}, "health": {"port": 9999}}
    larger = {"instances": {"storage": {"size": "20Gi"}}}

    installed, upgraded, refused = helm(
        cluster,
        step("install", "upgrades", values),
        step("upgrade", "upgrades", merged(values, change)),
        step("upgrade", "upgrades", merged(values, larger)),
    )

    assert (installed, upgraded) == ("", "")
    assert "spec" in refused
    assert "forbidden" in refused.lower()
    found = ready(cluster, "upgrades", "statefulsets")
    assert found["bank-pmstream-instances"] == 3


def test_volumes_outlive_the_release(cluster: Cluster) -> None:
    namespace(cluster, "kept")

    done = helm(
        cluster,
        step("install", "kept", modes()["minimal"].values),
        step("uninstall", "kept", {}),
    )

    assert done == ["", ""]
    claims = cluster.ask("/api/v1/namespaces/kept/persistentvolumeclaims")["items"]
    assert [each["metadata"]["name"] for each in claims] == [
        "state-bank-pmstream-instances-0",
        "state-bank-pmstream-instances-1",
    ]
