"""Renders a chart and holds it to Kubernetes' schemas: JSON in, JSON out, in a process of its own.

Renders by the Helm SDK of requirements/deploy.lock, else by `helm` on PATH. Never imported.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft7Validator

NO_HELM = 3
"""Exit code: there is nothing to render with."""


def render_by_sdk(chart: Any, case: dict[str, Any]) -> dict[str, str]:
    """Template path to text."""
    chart.validate_schema(case["values"])
    found: dict[str, str] = chart.render(
        case["values"],
        name=case["release"],
        namespace=case["namespace"],
        revision=case["revision"],
        is_install=case["revision"] == 1,
        is_upgrade=case["revision"] > 1,
    )
    return {path.split("/", 1)[1]: text for path, text in found.items()}


def render_by_program(folder: str, case: dict[str, Any]) -> dict[str, str]:
    """The same by `helm template`; it shows no notes."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(case["values"], file)
        file.flush()
        command = ["helm", "template", case["release"], folder, "-f", file.name]
        command += ["-n", case["namespace"], *(["--is-upgrade"] if case["revision"] > 1 else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return {"templates/all.yaml": done.stdout}


def renderer(folder: str) -> Any:
    """A function from a case to texts."""
    try:
        import helm_python
    except (ImportError, OSError):
        if shutil.which("helm") is None:
            sys.exit(NO_HELM)
        return lambda case: render_by_program(folder, case)
    chart = helm_python.Chart.load(folder)
    return lambda case: render_by_sdk(chart, case)


def documents(texts: dict[str, str]) -> list[dict[str, Any]]:
    """All objects, in the order of their files."""
    wanted = (text for path, text in sorted(texts.items()) if path.endswith((".yaml", ".yml")))
    return [each for text in wanted for each in yaml.safe_load_all(text) if each]


def faults(each: dict[str, Any], versions: list[str], crds: dict[str, Any]) -> list[str]:
    """What schemas say against an object."""
    name = f"{each['kind']}/{each['metadata']['name']}"
    if each["kind"] in crds:
        errors = Draft7Validator(crds[each["kind"]]).iter_errors(each)
        return [f"{name}: {error.json_path}: {error.message}" for error in errors]
    found = []
    for version in versions:
        try:
            kubernetes_validate.validate(each, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{name} on Kubernetes {version}: {error.json_path}: {error.message}")
    return found


def main() -> None:
    """Answers one order."""
    order = json.load(sys.stdin)
    render = renderer(order["chart"])
    crds = {path.stem: json.loads(path.read_text()) for path in map(Path, order["crds"])}
    answers = []
    for case in order["cases"]:
        if "file" in case:
            case["values"] = yaml.safe_load(Path(case["file"]).read_text())
        answer: dict[str, Any] = {"values": case["values"], "error": ""}
        try:
            texts = render(case)
            answer["notes"] = texts.get("templates/NOTES.txt", "")
            answer["documents"] = documents(texts)
            versions = order["versions"] if case["validated"] else []
            found = (faults(each, versions, crds) for each in answer["documents"])
            answer["faults"] = [fault for each in found for fault in each]
        except Exception as error:  # noqa: BLE001 - the answer is the error
            answer["error"] = str(error)
        answers.append(answer)
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
