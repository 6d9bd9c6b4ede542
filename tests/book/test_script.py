"""Who follows a page notices when it lies: other output, another exit code."""

from pathlib import Path

import pytest

from tests.book.script import Command, File, reader, script

NOWHERE = "pmstream topics ensure nowhere:app --yes"


def page(folder: Path, text: str) -> Path:
    path = folder / "page.md"
    path.write_text(text)
    return path


def console(*lines: str) -> str:
    return "\n".join(["```console", *lines, "```", ""])


def follow(folder: Path, text: str) -> list[str]:
    with reader(folder, "127.0.0.1:1") as newcomer:
        newcomer.follow(page(folder, text))
        return newcomer.outputs


def test_a_page_is_files_and_commands_in_their_order(tmp_path: Path) -> None:
    text = "```python\n# a.py\nX = 1\n```\n" + console(
        "$ pmstream --version   # exit code 3", "... 1"
    )
    text += "```sh\nrm -rf all\n```\n```python\nimport a\n```\n"

    assert list(script(page(tmp_path, text))) == [
        File("a.py", "X = 1\n"),
        Command(["pmstream", "--version"], ["... 1"], 3),
    ]


def test_a_line_of_a_file_is_replaced(tmp_path: Path) -> None:
    text = (
        "```python\n# a.py\nX = 1\nY = 2\n```\n```python\n# a.py, this line instead\nX = 7\n```\n"
    )

    follow(tmp_path, text)

    assert (tmp_path / "a.py").read_text() == "X = 7\nY = 2\n"


def test_what_a_command_says_is_compared(tmp_path: Path) -> None:
    (said,) = follow(tmp_path, console(f"$ {NOWHERE}  # exit code 2", "pmstream: ... nowhere"))

    assert "nowhere" in said


@pytest.mark.parametrize(
    ("lines", "fault"),
    [
        ([f"$ {NOWHERE}"], "ended with 2, not 0"),
        ([f"$ {NOWHERE}  # exit code 2", "all is well"], "all is well"),
    ],
)
def test_a_page_that_lies_is_found(tmp_path: Path, lines: list[str], fault: str) -> None:
    with pytest.raises(AssertionError, match=fault):
        follow(tmp_path, console(*lines))
