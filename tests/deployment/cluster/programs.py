"""Where the programs of a control plane come from: Go modules, pinned with their hashes."""

import json
import re
import shutil
from pathlib import Path

import pytest
from msgspec import Struct

from tests.deployment.tools import go_build, run

HERE = Path(__file__).parent
_KUBERNETES = "k8s.io/kubernetes/cmd"


class Programs(Struct, frozen=True):
    """Their paths, and what kwok pretends: nodes and pods that are ready at once."""

    etcd: Path
    apiserver: Path
    manager: Path
    scheduler: Path
    kwok: Path
    stages: list[Path]


def programs() -> Programs:
    """Built once, about eight minutes of one core; then from the cache."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the key of service accounts, and is not on PATH")
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    packages = (f"{_KUBERNETES}/{each}" for each in names)
    made = go_build("kubernetes", HERE / "kubernetes", *packages, flags=_flags())
    etcd = go_build("etcd", HERE / "etcd", "go.etcd.io/etcd/server/v3")
    kwok = go_build("kwok", HERE / "kwok", "sigs.k8s.io/kwok/cmd/kwok")
    apiserver, manager, scheduler = (made / each for each in names)
    return Programs(etcd / "server", apiserver, manager, scheduler, kwok / "kwok", _stages())


def _stages() -> list[Path]:
    """They come with kwok's module."""
    done = run(["go", "mod", "download", "-json", "sigs.k8s.io/kwok"], cwd=HERE / "kwok")
    folder = Path(json.loads(done.stdout)["Dir"]) / "kustomize" / "stage"
    parts = ("node/fast/node-*", "node/heartbeat-with-lease/node-*", "pod/fast/pod-*")
    return [path for part in parts for path in sorted(folder.glob(f"{part}.yaml"))]


def _flags() -> str:
    """A build from modules does not know its version, which charts ask for."""
    text = (HERE / "kubernetes" / "go.mod").read_text()
    found = re.search(r"k8s.io/kubernetes v(\d+)\.(\d+)\.\d+", text)
    assert found is not None
    stamps = {
        "gitVersion": found[0].split()[1],
        "gitMajor": found[1],
        "gitMinor": found[2],
    }
    stamped = (f"-X k8s.io/component-base/version.{name}={each}" for name, each in stamps.items())
    return " ".join(("-s -w", *stamped))
