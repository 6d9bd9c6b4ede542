"""The programs that check chart, compose file and image: pinned, made once, in the user's cache.

Rule: nothing is downloaded but by a registry's own client, by name and hash: deploy.lock, go.sum,
Debian's signed lists. What cannot exist here skips its tests, with the reason.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LOCK = ROOT / "requirements" / "deploy.lock"
GO_TOOLS = Path(__file__).parent / "gotools"
NO_WHEEL = "No matching distribution found"
NO_HELM = 3
"""What helm/helm_script.py ends with when it has nothing to render with."""

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score"


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    given: str | None = None,
    environment: Mapping[str, str] = {},
) -> subprocess.CompletedProcess[str]:
    """Runs a program and tells nothing unless asked for."""
    return subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        input=given,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def python_tools(lock: Path = LOCK) -> Path:
    """A folder with the packages of a lock, deploy.lock's if none; their programs are in bin/."""

    def install(folder: Path) -> str:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
        command += ["--no-deps", "--target", str(folder), "--requirement", str(lock)]
        done = run(command, environment={"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
        return done.stderr if done.returncode else ""

    return _made("python", [lock], install)


def with_python_tools(script: Path, given: str) -> str:
    """Runs a script of ours that imports from `python_tools()`, in a process of its own."""
    environment = {"PYTHONPATH": str(python_tools())}
    done = run([sys.executable, script], given=given, environment=environment)
    if done.returncode == NO_HELM:
        pytest.skip("Helm's library has no wheel for this machine, and no helm is on PATH")
    assert done.returncode == 0, done.stderr
    return done.stdout


def kube_score() -> Path:
    """The policy scanner."""
    return go_build("go", GO_TOOLS, KUBE_SCORE) / "kube-score"


def go_build(name: str, module: Path, *packages: str, flags: str = "-s -w") -> Path:
    """A folder with programs, built as a module's go.mod and go.sum pin them; `flags` link."""
    if shutil.which("go") is None:
        pytest.skip(f"{', '.join(packages)}: built by Go, and there is no go on PATH: install Go")

    def build(folder: Path) -> str:
        done = run(
            ["go", "build", "-trimpath", f"-ldflags={flags}", "-o", f"{folder}/", *packages],
            cwd=module,
            environment={"GOFLAGS": "-buildvcs=false -mod=readonly"},
        )
        return done.stderr if done.returncode else ""

    return _made(name, sorted(module.glob("go.*")), build, flags)


def promtool() -> Path:
    """Prometheus' tester of rules: the one on PATH, else Debian's."""
    found = shutil.which("promtool")
    return Path(found) if found else from_debian("prometheus", "promtool")


def from_debian(package: str, program: str) -> Path:
    """A program of a Debian package, which is unpacked only."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"no {program} on PATH, and no Debian to take it from: install {package}")
    return (
        _made(f"debian-{program}", [], lambda folder: _unpack(folder, package, program)) / program
    )


def _unpack(folder: Path, package: str, program: str) -> str:
    """With lists of its own where the system has none: changes nothing outside the folder."""
    # apt fetches as a user of its own, who may not write here.
    options = ["-o", "APT::Sandbox::User=root"]
    done = run(["apt-get", *options, "download", package], cwd=folder)
    if done.returncode:
        (folder / "lists" / "partial").mkdir(parents=True)
        private = [*options, "-o", f"Dir::State::lists={folder / 'lists'}"]
        run(["apt-get", *private, "update"], cwd=folder)
        done = run(["apt-get", *private, "download", package], cwd=folder)
    packages = list(folder.glob(f"{package}_*.deb"))
    if not packages:
        return done.stderr
    done = run(["dpkg-deb", "-x", packages[0], folder / "all"])
    if done.returncode == 0:
        (folder / "all" / "usr" / "bin" / program).rename(folder / program)
    shutil.rmtree(folder / "all")
    packages[0].unlink()
    return done.stderr if done.returncode else ""


def _made(name: str, inputs: Sequence[Path], make: Callable[[Path], str], salt: str = "") -> Path:
    """A folder of the cache that `make` fills once; `make` answers what went wrong, or ""."""
    digest = hashlib.sha256((sys.version + salt).encode())
    for each in inputs:
        digest.update(each.read_bytes())
    folder = _cache() / f"{name}-{digest.hexdigest()[:16]}"
    with _alone(folder.with_suffix(".lock")):
        if folder.is_dir():
            return folder
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        trouble = make(part)
        if trouble:
            shutil.rmtree(part, ignore_errors=True)
            if NO_WHEEL in trouble and "CI" not in os.environ:
                pytest.skip(f"a tool has no wheel for this machine: {trouble.strip()}")
            pytest.fail(f"{folder.name} cannot be made: {trouble.strip()[-2000:]}")
        part.rename(folder)
    return folder


def _cache() -> Path:
    named = os.environ.get("PMSTREAM_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return (Path(named) if named else Path(home, "pmstream")).absolute() / "deployment"


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
