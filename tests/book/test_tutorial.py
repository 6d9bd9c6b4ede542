"""The tutorial works, word for word, for somebody who begins in an empty folder."""

from pathlib import Path
from typing import Protocol

import pytest

from tests.book.pages import DOCS
from tests.book.script import reader


class Cluster(Protocol):
    """The embedded Kafka."""

    bootstrap_servers: str


@pytest.mark.kafka
@pytest.mark.slow
def test_the_tutorial(tmp_path: Path, kafka: Cluster) -> None:
    with reader(tmp_path, kafka.bootstrap_servers) as newcomer:
        newcomer.follow(DOCS / "tutorial.md")
