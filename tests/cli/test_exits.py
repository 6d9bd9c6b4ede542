"""Every error is one sentence and has its exit code; usage, help and version as one expects."""

import pytest

from pmstream.cli import exits
from pmstream.cli.root import root
from pmstream.errors import Busy, ConfigurationError, Stopped, Unreachable
from pmstream.runtime import log_errors as port
from pmstream.runtime.memory import MemoryLog
from pmstream.runtime.store import StoreCorrupt
from tests.cli.conftest import APP, Pmstream


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), 2),
        (Unreachable("x"), 69),
        (port.Unavailable("x"), 69),
        (Stopped("x"), 70),
        (Busy("x"), 75),
        (port.Refused("x"), 2),
        (port.Again("x"), 75),
        (port.Fenced("x"), 75),
        (StoreCorrupt("x"), 1),
        (ValueError("x"), 1),
    ],
)
def test_an_error_has_its_exit_code(
    pmstream: Pmstream, log: MemoryLog, error: Exception, code: int
) -> None:
    log.inject("topics", error)

    result = pmstream("topics", "list", APP)

    assert result.exit_code == code
    assert result.stderr.startswith("pmstream: ")
    assert "Traceback" not in result.output


def test_what_nobody_expected_asks_to_be_reported(pmstream: Pmstream, log: MemoryLog) -> None:
    log.inject("topics", ValueError("odd"))

    result = pmstream("topics", "list", APP)

    assert result.stderr.startswith("pmstream: internal error, ValueError: odd; ")


def test_debug_shows_the_traceback(pmstream: Pmstream, log: MemoryLog) -> None:
    log.inject("topics", ValueError("odd"))

    assert "Traceback" in pmstream("--debug", "topics", "list", APP).stderr


def test_an_interrupt_is_quiet(pmstream: Pmstream, log: MemoryLog) -> None:
    log.inject("topics", KeyboardInterrupt())

    result = pmstream("topics", "list", APP)

    assert (result.exit_code, result.output) == (exits.INTERRUPTED, "")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["topics", "chck", APP], "No such command 'chck'"),
        (["topics", "check"], "Missing argument 'APP' (see `pmstream topics check --help`)"),
        (["topics", "check", APP, "--colour"], "No such option: --colour"),
        (["run", APP, "--workers", "0"], "Invalid value for '--workers'"),
        (["run", APP, "--role", "boss"], "Invalid value for '--role'"),
    ],
)
def test_wrong_usage_is_one_sentence(pmstream: Pmstream, arguments: list[str], text: str) -> None:
    result = pmstream(*arguments)

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
    assert len(result.stderr.splitlines()) == 1


def test_an_unknown_variable_is_a_fault_of_every_command(
    pmstream: Pmstream, log: MemoryLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PMSTREAM_BOOTSTRAP_SERVER", "x")

    result = pmstream("topics", "list", APP)

    assert result.exit_code == 2
    assert "environment variable PMSTREAM_BOOTSTRAP_SERVER is no setting" in result.stderr


def test_the_version_is_the_package_s(pmstream: Pmstream) -> None:
    from pmstream import __version__

    assert pmstream("--version").stdout == f"pmstream {__version__}\n"


def commands() -> list[list[str]]:
    import typer.main

    def walk(command: object, path: list[str]) -> list[list[str]]:
        inner = getattr(command, "commands", None)
        if inner is None:
            return [path]
        return [each for name, sub in inner.items() for each in walk(sub, [*path, name])]

    return walk(typer.main.get_command(root), [])


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_help_has_an_example_that_begins_with_the_command(
    pmstream: Pmstream, path: list[str]
) -> None:
    result = pmstream(*path, "--help")

    assert result.exit_code == 0
    assert f"Example: pmstream {' '.join(path)} " in " ".join(result.stdout.split())


def test_the_shell_completes_commands_and_options(
    pmstream: Pmstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("_PMSTREAM_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "pmstream run a:b --ro")
    monkeypatch.setenv("COMP_CWORD", "3")

    assert pmstream().stdout.split() == ["--routers", "--role"]
