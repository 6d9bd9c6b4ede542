"""values.schema.json, and what it says of one value."""

import json
from functools import cache
from typing import Any

from tests.deployment.helm.chart import CHART


@cache
def schema() -> dict[str, Any]:
    """The whole."""
    found: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
    return found


def at(found: dict[str, Any], *path: str) -> dict[str, Any]:
    """What stands under a path of names; a KeyError if there is nothing."""
    for name in path:
        found = found["properties"][name]
    return found
