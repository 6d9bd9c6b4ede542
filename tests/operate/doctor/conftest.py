"""A healthy case, in memory."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from pmstream.operate.doctor import Case
from tests.operate.doctor.kit import healthy


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    with healthy(tmp_path) as found:
        yield found
