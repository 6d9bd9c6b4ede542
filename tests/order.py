"""Which tests run first: the long ones, and those that wait for Kafka.

Rule: what is alike keeps the order it had, which is a random one. A run that ends with its longest
test has one process at work and the others idle; and while one process waits for a broker, the
next one, which begins in the middle, computes.
"""

import pytest

from tests.kafka_fixture import uses_three


@pytest.hookimpl(trylast=True)  # once the order is shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sorts; all that use three brokers stand in a row, so that these start once."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if uses_three(item):
        return 0
    if item.get_closest_marker("slow") is not None:
        return 1
    return 3 if item.get_closest_marker("kafka") is None else 2
