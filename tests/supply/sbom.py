"""The software bill of materials (CycloneDX): what the image carries, and the embedded Kafka.

Rule: the list is the lock's, made and checked by CycloneDX's own tools; the jars are there, marked,
because `pmstream dev kafka` fetches them, and no deployment has them.
"""

import json
import re
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from pmstream.devkafka import jars
from tests.deployment.tools import ROOT, python_tools, run
from tests.supply.audit import TOOLS

LOCK = ROOT / "requirements" / "image.lock"
VERSION = "1.6"
"""Of CycloneDX."""

NOT_DEPLOYED = "excluded"
"""CycloneDX's scope for what is needed by development only."""

_CHECK = f"""
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f"no CycloneDX {VERSION}: {{fault}}" if fault else 0)
"""


def made() -> str:
    """The document, reproducible: the same locks make the same bytes."""
    document = _of_the_lock()
    document["components"] += [_component(jar) for jar in jars.wanted()]
    root = document["metadata"]["component"]["bom-ref"]
    direct = {name: ref for name, ref in _refs(document).items() if name in _asked_for()}
    for each in document["dependencies"]:
        if each["ref"] == root:
            each["dependsOn"] = sorted(direct.values())
    document["dependencies"] += [{"ref": jar.coordinate} for jar in jars.wanted()]
    text = json.dumps(document, indent=2) + "\n"
    done = run([sys.executable, "-c", _CHECK], given=text, environment=_environment())
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return text


def parts(text: str) -> list[dict[str, Any]]:
    """The components of a document."""
    found: list[dict[str, Any]] = json.loads(text)["components"]
    return found


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(python_tools(TOOLS)), "PYTHONWARNINGS": "ignore"}


def _of_the_lock() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sbom.json")
        command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(LOCK)]
        command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible"]
        command += ["--spec-version", VERSION, "--output-format", "JSON", "-o", str(path)]
        done = run(command, environment=_environment())
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        found: dict[str, Any] = json.loads(path.read_text())
    return found


def _component(jar: jars.Jar) -> dict[str, Any]:
    group, name, version = jar.coordinate.split(":")
    return {
        "bom-ref": jar.coordinate,
        "type": "library",
        "group": group,
        "name": name,
        "version": version,
        "scope": NOT_DEPLOYED,
        "hashes": [{"alg": "SHA-256", "content": jar.sha256}],
        "purl": f"pkg:maven/{group}/{name}@{version}",
        "properties": [
            {"name": "pmstream:use", "value": "development only: `pmstream dev kafka`, tests"}
        ],
    }


def _refs(document: dict[str, Any]) -> dict[str, str]:
    return {each["name"].lower(): each["bom-ref"] for each in document["components"]}


def _asked_for() -> set[str]:
    """Names that pyproject.toml asks for itself, as the image has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["otlp"]]
    return {re.split(r"[^\w.-]", each, maxsplit=1)[0].lower() for each in wanted}
