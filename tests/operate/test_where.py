"""--where: what it finds, and what it refuses rather than guess."""

import pytest

from pmstream.errors import ConfigurationError
from pmstream.operate.where import MAX_CHARACTERS, Subject, Where

DEPOSIT = {"status": "deposit", "amount": 150, "note": None, "tags": ["a"], "to": {"bank": "x"}}
NEW = {"status": "new", "amount": 7, "note": "n", "tags": [], "to": {"bank": "y"}}
SUBJECTS = (
    Subject("u1", "parked", 3, 2, 61.0, DEPOSIT),
    Subject("u2", "idle", 0, 0, 1.0, NEW),
    Subject("u3", "parked", 1, 0, 1.0, None),
)


def found(text: str) -> list[str]:
    where = Where(text, SUBJECTS, ["extra"])
    return [each.uuid for each in SUBJECTS if where.matches(each)]


@pytest.mark.parametrize(
    ("text", "uuids"),
    [
        ('status == "deposit" and amount > 100', ["u1"]),
        ("not (amount > 100)", ["u2"]),
        ('status in ["new", "old"]', ["u2"]),
        ('status =~ "dep.*"', ["u1"]),
        ('"a" in tags', ["u1"]),
        ('to["bank"] == "y"', ["u2"]),
        ("note == null", ["u1"]),
        ("extra == null", ["u1", "u2"]),
        ('note != null and note == "n"', ["u2"]),
        ('$condition == "parked"', ["u1", "u3"]),
        ("$attempts >= 3 and $backlog > 0 and $age_seconds > 60", ["u1"]),
        ('$uuid == "u2"', ["u2"]),
        ('$condition == "parked" or amount > 1', ["u1", "u2"]),
    ],
)
def test_it_finds_those_for_which_it_holds(text: str, uuids: list[str]) -> None:
    assert found(text) == uuids


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "syntax error"),
        ("amount >", "syntax error at: EOF"),
        ("amount = 5", "syntax error"),
        ("price > 5", "there is no 'price'"),
        ("$price > 5", "there is no '$price'"),
        ("$now > 5", "there is no '$now'"),
        ("$range(9)", "there is no '$range'"),
        ('amount > "x"', "unlike types"),
        ("status == 5", "it compares a string with a number"),
        ('status == "a" and (amount == 2 or status != 5)', "it compares a string with a number"),
        (
            'status in ["a"] and [x for x in tags if amount == "x"] == tags',
            "a number with a string",
        ),
        ("$condition == 5", "it compares a string with a number"),
        ("note > 5", "unlike types"),
        ("amount + 1", "it is a number, not yes or no"),
        ("note", "it is a string, not yes or no"),
        ('to["bank"]', "of process u1 it is a str, not yes or no"),
        ('status =~ "("', "invalid regular expression"),
        ("status.__class__ == 1", "unknown attribute: '__class__'"),
        ("to.bank == 1", "of process u1 it cannot be told"),
        ("(" * 900 + "amount", "syntax error"),
        ("x" * (MAX_CHARACTERS + 1), f"{MAX_CHARACTERS} may be"),
    ],
)
def test_what_cannot_be_judged_is_refused(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        found(text)

    assert why in str(refused.value)


def test_a_refusal_names_what_there_is() -> None:
    with pytest.raises(ConfigurationError) as refused:
        found("price > 5")

    assert "The state has amount, extra, note, status, tags, to;" in str(refused.value)
    assert "$uuid, $condition, $attempts, $backlog, $age_seconds" in str(refused.value)


def test_a_null_that_is_ordered_is_no_no() -> None:
    half = Subject("u4", "idle", 0, 0, 1.0, {"amount": None})
    where = Where("amount > 5", [*SUBJECTS, half])

    with pytest.raises(ConfigurationError, match="of process u4 it cannot be told"):
        where.matches(half)


def test_fields_of_two_types_are_judged_one_by_one() -> None:
    mixed = [Subject("n", "idle", 0, 0, 1.0, {"x": 5}), Subject("s", "idle", 0, 0, 1.0, {"x": "5"})]

    where = Where('x == "5"', mixed)

    assert [each.uuid for each in mixed if where.matches(each)] == ["s"]
