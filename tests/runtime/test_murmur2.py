"""The partition of a key: Kafka's own examples, and the compiled twin like the one in Python."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmstream.runtime.murmur2 import python_partition

Partition = Callable[[bytes, int], int]

MOST = (1 << 31) - 1
"""So many partitions make the hash itself visible."""

EXAMPLES = {
    # from the tests of Kafka's Utils.murmur2
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
    b"abc": 479470107,
}


@pytest.fixture(scope="session", params=["python", "compiled"])
def partition(request: pytest.FixtureRequest) -> Partition:
    if request.param == "python":
        return python_partition
    made: Partition = request.getfixturevalue("compiled").partition
    return made


@pytest.mark.parametrize(("key", "hashed"), EXAMPLES.items())
def test_it_is_the_hash_of_kafka(partition: Partition, key: bytes, hashed: int) -> None:
    assert partition(key, MOST) == (hashed & 0x7FFFFFFF) % MOST


@given(key=st.binary(max_size=70), partitions=st.integers(1, MOST))
def test_the_twins_are_alike(compiled: Any, key: bytes, partitions: int) -> None:
    assert compiled.partition(key, partitions) == python_partition(key, partitions)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), TypeError),
        ((b"a",), TypeError),
        (("a", 1), TypeError),
        ((b"a", "1"), TypeError),
        ((b"a", 0), ValueError),
        ((b"a", -1), ValueError),
        ((b"a", 1 << 31), ValueError),
        ((b"a", 1 << 70), OverflowError),
    ],
)
def test_the_compiled_one_refuses_what_is_no_key_or_number(
    compiled: Any, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        compiled.partition(*arguments)
