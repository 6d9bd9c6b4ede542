"""A healthy case, in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.operate.doctor import Case, state
from tests.operate.doctor.kit import healthy


@pytest.fixture(autouse=True)
def space(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk of this machine is not the matter."""
    monkeypatch.setattr(state, "SPACE_LOW_BYTES", 0)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with healthy(tmp_path) as found:
        yield found
