"""A service's reply, built from the headers of the command."""

import pytest

from pmstream import replies
from pmstream.core.engine import Reply
from pmstream.runtime.log import Record
from pmstream.runtime.murmur2 import murmur2_partition
from pmstream.runtime.replies import reply_reader

PARTITIONS = 4
HEADERS = [
    ("command-id", b"p-1/t-0-1/0"),
    ("process-uuid", b"p-1"),
    ("reply-to", b"app.pm.replies"),
    ("reply-partition", b"%d" % murmur2_partition(b"p-1", PARTITIONS)),
]


def read(answer: replies.Answer | None) -> object:
    assert answer is not None
    record = Record(answer.topic, answer.partition, 0, 0, answer.key, answer.value, answer.headers)
    return reply_reader(answer.topic, PARTITIONS)(record, answer.partition)


def test_an_accepted_command_is_read_as_such() -> None:
    assert read(replies.accept(HEADERS)) == ("p-1", Reply("p-1/t-0-1/0", True))


def test_a_rejection_carries_its_reason() -> None:
    answer = replies.reject(dict(HEADERS), {"balance": 3})

    assert read(answer) == ("p-1", Reply("p-1/t-0-1/0", False, {"balance": 3}))


@pytest.mark.parametrize("headers", [None, [], HEADERS[:2]])
def test_a_command_that_asks_for_no_reply_gets_none(headers: list[tuple[str, bytes]]) -> None:
    assert replies.accept(headers) is None
    assert replies.reject(headers, "no") is None


@pytest.mark.parametrize("missing", [0, 1, 3])
def test_headers_that_were_not_passed_on_whole_are_refused(missing: int) -> None:
    headers = [each for number, each in enumerate(HEADERS) if number != missing]

    with pytest.raises(ValueError, match="pass its headers on as they came"):
        replies.accept(headers)
