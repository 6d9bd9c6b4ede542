"""What a figure must reach, and how a bench ends: figures as the last line, 1 when one fails."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from msgspec import Struct

from bench.stage import say


class Gate(Struct, frozen=True):
    """A figure must be at least, or at most, so much."""

    figure: str
    least: float | None = None
    most: float | None = None


def missed(figures: Mapping[str, Any], gates: Sequence[Gate]) -> list[str]:
    """A sentence for each gate that these figures do not pass; one that is not there does not."""
    found = []
    for gate in gates:
        value = figures.get(gate.figure)
        if value is None:
            found.append(f"{gate.figure} was not measured")
        elif gate.least is not None and value < gate.least:
            found.append(f"{gate.figure} is {value}, less than {gate.least}")
        elif gate.most is not None and value > gate.most:
            found.append(f"{gate.figure} is {value}, more than {gate.most}")
    return found


def conclude(figures: Mapping[str, Any], faults: Sequence[str], beyond: Sequence[str]) -> NoReturn:
    """Prints all, and exits: 1 when something is wrong or misses its gate.

    Args:
        figures: what was measured.
        faults: what makes it void.
        beyond: gates that were missed.
    """
    for each in (*faults, *beyond):
        say(each)
    print(json.dumps({**figures, "valid": not faults, "faults": [*faults], "missed": [*beyond]}))
    sys.exit(1 if faults or beyond else 0)
