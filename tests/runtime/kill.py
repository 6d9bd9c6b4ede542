"""A kill at a step of a commit, in a test's own process."""

from collections.abc import Callable

from pmstream.testing.killed import Killed

__all__ = ["Killed", "kill_at"]


def kill_at(step: str, times: int = 3) -> Callable[[str], None]:
    """A probe that kills at the given visit of a step."""
    left = [times]

    def probe(at: str) -> None:
        if at == step:
            left[0] -= 1
            if not left[0]:
                raise Killed(step)

    return probe
