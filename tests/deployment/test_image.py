"""The image: its Dockerfile linted, and held to what the chart and the locks say."""

import re

from tests.deployment.helm.chart import CHART
from tests.deployment.tools import ROOT, python_tools, run

DOCKERFILE = ROOT / "Dockerfile"
LOCKED = re.compile(r"^([a-z0-9][\w.-]*)==(\S+)", re.MULTILINE)


def test_the_linter_finds_nothing() -> None:
    done = run([python_tools() / "bin" / "hadolint", DOCKERFILE])

    assert done.stdout + done.stderr == ""
    assert done.returncode == 0


def test_the_linter_would_find_something() -> None:
    bad = "FROM python:latest\nRUN apt-get install gcc\n"
    done = run([python_tools() / "bin" / "hadolint", "-"], given=bad)

    assert "DL3007" in done.stdout


def test_the_last_stage_has_no_root_and_no_compiler() -> None:
    last = DOCKERFILE.read_text().rsplit("FROM ", 1)[1]
    values = (CHART / "values.yaml").read_text()
    user = re.search(r"runAsUser: (\d+)", values)

    assert user is not None
    assert f"USER {user[1]}:{user[1]}" in last, "the chart runs it as that user"
    assert not re.search(r"apt|gcc|pip install", last)
    assert 'ENTRYPOINT ["pmstream"]' in last


def test_only_what_the_build_needs_is_handed_over() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    copied = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE.read_text(), re.MULTILINE)

    allowed = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert ignored[0] == "*"
    assert {name for line in copied for name in line.split()} == allowed


def test_the_image_has_the_versions_that_the_tests_ran_with() -> None:
    tested = dict(LOCKED.findall((ROOT / "requirements" / "dev.lock").read_text()))
    shipped = dict(LOCKED.findall((ROOT / "requirements" / "image.lock").read_text()))

    both = tested.keys() & shipped.keys()

    assert {"confluent-kafka", "fastavro", "rocksdict", "typer"} <= both
    assert {name: shipped[name] for name in both} == {name: tested[name] for name in both}
