"""What of a text may go to logs: everything but the values of what it is about."""

import datetime as dt
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from pmstream.core.masking import MASK, MOST_VALUES, SHORTEST, WITHHELD, masked, masked_words


class Kind(Enum):
    PREMIUM = "premium"


class Order(Struct):
    card: Any
    note: str = ""
    kind: Kind = Kind.PREMIUM


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("4929-1234", "4929-1234"),
        ('O\'Neil said "no"\n', repr('O\'Neil said "no"\n')),
        ('a "quoted" word', msgspec.json.encode('a "quoted" word').decode()),
        (123456789, "123456789"),
        (-12345.5, "-12345.5"),
        (Decimal("1999.95"), "1999.95"),
        (b"\x00\xff-raw", repr(b"\x00\xff-raw")),
        (b"\xca\xfe\xba\xbe", "cafebabe"),
        (dt.date(2026, 1, 2), "2026-01-02"),
        (["deep", {"deeper": ("deepest-value",)}], "deepest-value"),
        ({"a-key-that-tells": 1}, "a-key-that-tells"),
    ],
)
def test_a_value_is_taken_out_in_whatever_form_it_stands(value: object, shown: str) -> None:
    told = masked(f"card {shown} is refused", [Order(card=value)])

    assert MASK in told
    assert shown not in told
    assert told.startswith("card ")
    assert told.endswith(" is refused")


def test_the_longest_is_taken_out_first() -> None:
    assert masked("of secret and secretary", [["secret", "secretary"]]) == f"of {MASK} and {MASK}"


def test_what_tells_nothing_stays() -> None:
    """Short values, yes and no, nothing, members of an enum, the process."""
    things = [Order(card=None, note="EUR"), True, 7, "process-17", Kind.PREMIUM]

    text = "EUR 7 True None premium process-17"
    assert masked(text, things, "process-17") == text


def test_more_values_than_can_be_looked_for_withhold_the_text() -> None:
    assert masked("the text", [[f"value {n}" for n in range(MOST_VALUES + 1)]]) == WITHHELD


def test_a_number_without_end_and_a_text_that_fails_do_no_harm() -> None:
    class Bad:
        def __str__(self) -> str:
            raise ValueError

    assert masked("the text", [10**5_000, Bad(), "\ud800" * 5]) == "the text"


def test_words_of_a_record_are_taken_out_but_for_places() -> None:
    told = masked_words(
        "Invalid enum value 'GOLDEN' - at `$.kind`", b'{"kind": "GOLDEN", "value": 1}'
    )

    assert told == f"Invalid enum {MASK} '{MASK}' - at `$.kind`"


@given(st.text(min_size=SHORTEST), st.text(max_size=20), st.text(max_size=20))
def test_no_text_shows_a_value(value: str, before: str, behind: str) -> None:
    told = masked(f"{before}{value}{behind}", [value])

    assert value not in told.replace(MASK, "")
