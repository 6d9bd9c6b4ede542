"""The wheel: built, installed into a clean environment far from the checkout, and used there."""

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pmstream import __version__
from tests.deployment.tools import ROOT, run

LOCK = ROOT / "requirements" / "dev.lock"
DATA = ("py.typed", "devkafka/jars.lock", "devkafka/log4j2.properties", "examples/avro/previous")

SNIPPET = """\
from msgspec import Struct
from pmstream import ProcessManager, routing

class Order(Struct, frozen=True):
    address: str = ""

class Shipping(ProcessManager[Order]):
    name = {name}
    state = Order

    def apply(self, state: Order, event: object) -> Order:
        return state
"""


class Installed:
    """A clean environment with the wheel, and a folder to work in."""

    def __init__(self, home: Path, work: Path) -> None:
        self.bin, self.work = home / "bin", work

    def run(
        self, *words: str, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs one of its programs, of which nothing knows the checkout."""
        kept = {name: os.environ[name] for name in ("HOME",) if name in os.environ}
        path = f"{self.bin}{os.pathsep}{os.environ['PATH']}"
        return subprocess.run(
            [str(self.bin / words[0]), *words[1:]],
            cwd=self.work,
            env={**kept, "PATH": path, **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]
    done = run([*command, "--outdir", folder, ROOT])
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def install(wheel: Path, folder: Path, extra: str = "") -> Installed:
    """With the versions that the tests run with; a wheel has no hash to ask for."""
    home, work, pins = folder / "environment", folder / "work", folder / "pins.txt"
    work.mkdir()
    pins.write_text("\n".join(re.findall(r"^[a-z0-9][^\s;]*==\S+", LOCK.read_text(), re.MULTILINE)))
    # By the pip of the tests, and nothing compiled that is not used: half a minute less.
    checked([sys.executable, "-m", "venv", "--without-pip", str(home)])
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    pip += ["--python", home / "bin" / "python", "install", "--quiet", "--no-compile"]
    checked([*pip, "--constraint", pins, f"{wheel}{extra}"])
    return Installed(home, work)


def checked(command: Sequence[str | Path]) -> None:
    # Its own environment decides, not what the checkout's tests put on the path.
    done = run(command, environment={"PYTHONPATH": ""})
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("clean"))


def test_it_tells_its_version(installed: Installed) -> None:
    assert installed.run("pmstream", "--version").stdout == f"pmstream {__version__}\n"


def test_it_brings_its_data_and_nothing_of_the_checkout(installed: Installed) -> None:
    where = installed.run("python", "-c", "import pmstream; print(pmstream.__file__)").stdout

    folder = Path(where.strip()).parent
    assert installed.bin.parent in folder.parents
    for name in DATA:
        assert (folder / name).exists(), name
    avro = {path.name for path in (folder / "examples" / "avro").glob("*.avsc")}
    assert avro == {path.name for path in (ROOT / "avro").glob("*.avsc")}


def test_its_examples_load_and_its_commands_explain_themselves(installed: Installed) -> None:
    for words in (("demo", "--help"), ("run", "--help"), ("topics", "ensure", "--help")):
        asked = installed.run("pmstream", *words)
        assert asked.returncode == 0, asked.stderr
        assert "Example" in asked.stdout

    checked = installed.run("pmstream", "schemas", "check", "pmstream.examples.transfer:app")

    assert checked.returncode == 0, checked.stderr


def test_without_java_the_demo_says_what_is_missing(installed: Installed) -> None:
    bare = {"PATH": str(installed.bin), "PMSTREAM_CACHE": str(installed.work / "cache")}

    asked = installed.run("pmstream", "demo", environment=bare)

    assert asked.returncode != 0
    assert "pmstream[kafka-dev]" in asked.stderr


def test_its_codec_is_compiled_where_a_compiler_is(installed: Installed, compiled: object) -> None:
    asked = "from pmstream.runtime import compiled; print(compiled.IS_COMPILED)"

    assert installed.run("python", "-c", asked).stdout == "True\n"


def test_a_pure_wheel_is_for_every_machine(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation"]

    done = run([*command, "--outdir", tmp_path, ROOT], environment={"PMSTREAM_PURE_PYTHON": "1"})

    assert done.returncode == 0, done.stderr
    assert [each.name for each in tmp_path.iterdir()] == [
        f"pmstream-{__version__}-py3-none-any.whl"
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_its_commands(installed: Installed, shell: str) -> None:
    asked = {
        "_PMSTREAM_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": "pmstream top",
        "COMP_CWORD": "1",
        "_TYPER_COMPLETE_ARGS": "pmstream top",
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }

    answer = installed.run("pmstream", environment=asked)

    assert "topics" in answer.stdout
    assert "instances" not in answer.stdout


def test_a_completion_script_is_shown(installed: Installed) -> None:
    # Which shell it is would be told by the process that started the tests: a sh has none.
    told = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    script = installed.run("pmstream", "--show-completion", "bash", environment=told)

    assert script.returncode == 0, script.stderr
    assert "_PMSTREAM_COMPLETE=complete_bash" in script.stdout


def test_types_are_seen_from_outside(installed: Installed) -> None:
    (installed.work / "right.py").write_text(SNIPPET.format(name='"shipping"'))
    (installed.work / "wrong.py").write_text(SNIPPET.format(name="5"))
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir=.mypy"]
    mypy += ["--python-executable", str(installed.bin / "python")]

    right = run([*mypy, "right.py"], cwd=installed.work, environment={"PYTHONPATH": ""})
    wrong = run([*mypy, "wrong.py"], cwd=installed.work, environment={"PYTHONPATH": ""})

    assert right.returncode == 0, right.stdout
    assert '"int"' in wrong.stdout, wrong.stdout


@pytest.mark.kafka
@pytest.mark.slow
def test_its_demo_proves_itself_on_a_real_kafka(wheel: Path, tmp_path: Path) -> None:
    with_kafka = install(wheel, tmp_path, "[kafka-dev]")

    shown = with_kafka.run("pmstream", "demo", "--transfers", "300", "-o", "json")

    assert shown.returncode == 0, shown.stderr
