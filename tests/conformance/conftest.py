"""On which tier a case is played."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.kit import MEMORY, Play


@pytest.fixture
def play(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Play]:
    """Plays a case, in memory unless it says otherwise."""
    tier = getattr(request, "param", MEMORY)
    kafka = "" if tier == MEMORY else request.getfixturevalue("kafka").bootstrap_servers
    made = Play(tier, tmp_path, kafka)
    yield made
    made.close()
