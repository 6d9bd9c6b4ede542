"""The reference leaves nothing out: names, headers, settings and exit codes are all there."""

import re

import pmstream
import pmstream.testing
from pmstream import replies
from pmstream.cli import exits
from pmstream.core import messages
from pmstream.examples.careful_transfer import app
from pmstream.examples.messages import MoneyTransferRequested
from pmstream.testing import SILENT, run
from tests.book import settings
from tests.book.cluster import COMMAND_HEADERS, EVENT_HEADERS, EXITS, REPLY_HEADERS
from tests.book.command_line import commands
from tests.book.docstrings import markdown
from tests.book.pages import DOCS


def test_every_public_name_is_in_the_api() -> None:
    page = (DOCS / "reference" / "api.md").read_text()
    modules = {"failure", "routing", "timers"}
    names = {*pmstream.__all__, *pmstream.testing.__all__} - modules

    assert names <= set(re.findall(r"^### ([\w.]+)$", page, re.MULTILINE))
    assert modules <= set(re.findall(r"^## pmstream\.(\w+)$", page, re.MULTILINE))


def test_every_command_is_in_the_command_line() -> None:
    page = (DOCS / "reference" / "cli.md").read_text()

    assert len(list(commands())) > 30
    for words, _ in commands():
        assert f"\n## pmstream {words}\n" in page


def test_commands_and_replies_have_just_the_headers_that_are_told() -> None:
    traced = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    with run(app, lambda _command: SILENT) as bank:
        bank.produce(MoneyTransferRequested("t-1", "alice", "bob", 100), headers=(traced,))
        bank.settle()
        (_, _, command), *_ = bank._services.sent

    assert {name for name, _ in command.headers} == COMMAND_HEADERS.keys()
    answer = replies.accept(command.headers)
    assert answer is not None
    assert {name for name, _ in answer.headers} == REPLY_HEADERS.keys()


def test_every_header_that_is_read_of_an_event_is_told() -> None:
    read = {messages.EVENT_ID, messages.CORRELATION_ID, messages.CAUSATION_ID, "traceparent"}

    assert read == EVENT_HEADERS.keys()


def test_every_variable_of_ours_is_told_or_internal() -> None:
    assert settings.covered()


def test_every_exit_code_is_told() -> None:
    numbers = {value for name, value in vars(exits).items() if name.isupper() and value != ()}

    assert {each for each in numbers if isinstance(each, int)} == EXITS.keys()


def test_a_docstring_becomes_paragraphs_and_lists() -> None:
    text = """Does it, with `<a>` and <b>.

    More of it,
    on two lines.

    Args:
        one: the first, which
            goes on here.
        two, three: others.

    Returns:
        What came of it.

    Raises:
        ValueError: too many.
    """

    assert list(markdown(text, {"one": 7})) == [
        "Does it, with `<a>` and \\<b>.",
        "",
        "More of it, on two lines.",
        "",
        "- `one`: the first, which goes on here. Default: `7`.",
        "- `two, three`: others.",
        "",
        "*Answers*: What came of it.",
        "",
        "*Raises*:",
        "",
        "- `ValueError`: too many.",
        "",
    ]
