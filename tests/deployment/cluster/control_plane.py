"""etcd, API server, controllers, scheduler and kwok: started on free ports, ended whatever happens.

Rule: real admission, real defaults, real immutability; only what a pod does is pretended.
"""

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pmstream.devkafka import ports
from tests.deployment.cluster.programs import Programs

TOKEN = "admin-of-a-test"
KWOK = ("--manage-all-nodes=true", "--node-lease-duration-seconds=40")
READY_SECONDS = 180.0
NODES = 3
VOLUMES = 40


class Cluster:
    """What a test may ask.

    Args:
        server: the API server's address.
        kubeconfig: a file for clients.
    """

    def __init__(self, server: str, kubeconfig: Path) -> None:
        self._server, self.kubeconfig = server, kubeconfig
        self._context = ssl.create_default_context()
        self._context.check_hostname = False
        self._context.verify_mode = ssl.CERT_NONE  # it made its certificate a moment ago

    def ask(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """GET, or POST of a body. Raises urllib.error.URLError."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self._server}{path}", data, headers)
        with urllib.request.urlopen(request, context=self._context, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def is_up(self) -> bool:
        """Whether it serves what controllers need."""
        try:
            self.ask("/api/v1/namespaces/kube-system")
        except (urllib.error.URLError, OSError, ValueError):
            return False
        return True


@contextmanager
def running(programs: Programs, folder: Path) -> Iterator[Cluster]:
    """Starts it; ends it."""
    client, peer, secure, manager, scheduler = ports.free(5)
    server = f"https://127.0.0.1:{secure}"
    kubeconfig = folder / "kubeconfig"
    kubeconfig.write_text(json.dumps(_kubeconfig(server)))
    (folder / "tokens.csv").write_text(f'{TOKEN},admin,admin,"system:masters"\n')
    key = folder / "accounts.key"
    _checked(["openssl", "genrsa", "-out", str(key), "2048"])
    cluster = Cluster(server, kubeconfig)
    with ExitStack() as stack:
        start = _starter(stack, folder)
        start("etcd", _etcd(programs, folder, client, peer))
        start("apiserver", _apiserver(programs, folder, client, secure))
        await_until(cluster.is_up, "the API server to answer")
        common = ["--kubeconfig", str(kubeconfig)]
        accounts = ["--service-account-private-key-file", str(key), "--leader-elect=false"]
        start("controllers", [programs.manager, *common, *accounts, f"--secure-port={manager}"])
        start(
            "scheduler",
            [programs.scheduler, *common, "--leader-elect=false", f"--secure-port={scheduler}"],
        )
        stages = (f"--config={path}" for path in programs.stages)
        start("kwok", [programs.kwok, *common, *KWOK, *stages])
        _furnish(cluster)
        yield cluster


def await_until(is_so: Callable[[], bool], what: str) -> None:
    """Waits; a cluster under load takes its time."""
    until = time.monotonic() + READY_SECONDS
    while not is_so():
        assert time.monotonic() < until, f"waited {READY_SECONDS:.0f} s for {what}"
        time.sleep(0.2)


def _furnish(cluster: Cluster) -> None:
    """Nodes, and volumes for whoever claims one."""
    size = {"cpu": "32", "memory": "256Gi", "pods": "100", "ephemeral-storage": "1Ti"}
    for number in range(NODES):
        name = f"node-{number}"
        labels = {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number}"}
        metadata = {"name": name, "labels": labels}
        status = {"allocatable": size, "capacity": size}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}
        cluster.ask("/api/v1/nodes", node)
    for number in range(VOLUMES):
        spec = {
            "capacity": {"storage": "50Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": f"/volumes/{number}"},
            "storageClassName": "fast" if number % 2 else "",
        }
        volume = {"apiVersion": "v1", "kind": "PersistentVolume", "spec": spec}
        cluster.ask("/api/v1/persistentvolumes", volume | {"metadata": {"name": f"v{number}"}})


def _etcd(programs: Programs, folder: Path, client: int, peer: int) -> list[str | Path]:
    urls = [f"http://127.0.0.1:{port}" for port in (client, peer)]
    return [
        programs.etcd,
        "--data-dir",
        folder / "etcd",
        *("--listen-client-urls", urls[0], "--advertise-client-urls", urls[0]),
        *("--listen-peer-urls", urls[1], "--initial-advertise-peer-urls", urls[1]),
        *("--initial-cluster", f"default={urls[1]}", "--unsafe-no-fsync"),
    ]


def _apiserver(programs: Programs, folder: Path, etcd: int, secure: int) -> list[str | Path]:
    return [
        programs.apiserver,
        f"--etcd-servers=http://127.0.0.1:{etcd}",
        f"--cert-dir={folder / 'certificates'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--bind-address=127.0.0.1",
        f"--secure-port={secure}",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
    ]


def _starter(stack: ExitStack, folder: Path) -> Callable[[str, Sequence[str | Path]], None]:
    def start(name: str, command: Sequence[str | Path]) -> None:
        output = stack.enter_context((folder / f"{name}.log").open("wb"))
        process = subprocess.Popen(
            [str(each) for each in command],
            stdout=output,
            stderr=output,
            cwd=folder,
        )

        def end() -> None:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

        stack.callback(end)

    return start


def _kubeconfig(server: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {"name": "test", "cluster": {"server": server, "insecure-skip-tls-verify": True}}
        ],
        "users": [{"name": "admin", "user": {"token": TOKEN}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
    }


def _checked(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
