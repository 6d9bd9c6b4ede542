"""How deeply a stranger's plain data may be nested, so that all of ours can walk through it.

msgspec reads as deep as the stack allows at that moment; what writes, compares or shows the value
later stands deeper in the stack, and would fail half-way.
"""

from typing import Any

MAX_DEPTH = 100
"""Lists and objects within each other."""


def is_too_deep(value: Any) -> bool:
    """Whether plain data (dicts, lists, scalars) is nested deeper than MAX_DEPTH."""
    layer, depth = [value], 0
    while layer:
        if depth > MAX_DEPTH:
            return True
        inner = [each for each in layer if isinstance(each, dict | list)]
        layer = [
            one for each in inner for one in (each.values() if isinstance(each, dict) else each)
        ]
        depth += bool(inner)
    return False
