"""Installs, upgrades and removes a release by the Helm SDK: JSON in, JSON out. Never imported."""

import json
import sys
from typing import Any

import helm_python


def act(config: Any, order: dict[str, Any], step: dict[str, Any]) -> dict[str, Any]:
    """One step; answers the error, or ""."""
    try:
        if step["verb"] == "uninstall":
            config.uninstall("bank")
        else:
            verb = config.install if step["verb"] == "install" else config.upgrade
            verb(order["chart"], "bank", step["values"], wait="watcher", timeout=order["timeout"])
    except helm_python.HelmError as error:
        return {"error": f"{error} {getattr(error, 'detail', '')}"}
    return {"error": ""}


def main() -> None:
    """Answers one order."""
    order = json.load(sys.stdin)
    answers = []
    for step in order["steps"]:
        with helm_python.Config(
            kubeconfig_path=order["kubeconfig"], namespace=step["namespace"]
        ) as config:
            answers.append(act(config, order, step))
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
