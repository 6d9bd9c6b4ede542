"""APP on the command line: each way to be wrong is one sentence and exit code 2."""

from pathlib import Path

import pytest

from tests.cli.conftest import Pmstream

MADE = "from pmstream.examples.transfer import app\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("bank", "APP is 'bank'; it is module:attribute, for example "),
        ("bank:", "APP is 'bank:'; it is module:attribute, for example "),
        ("no_such_module:app", "there is no module 'no_such_module', neither in "),
        ("pmstream.nowhere.at_all:app", "there is no module 'pmstream.nowhere', neither in "),
        ("pmstream.examples.transfer:ap", "has no 'ap'; it has app"),
        ("pmstream.examples.transfer:Transfer", "is a class, neither an App nor a function"),
    ],
)
def test_what_is_no_app_is_told(pmstream: Pmstream, name: str, text: str) -> None:
    result = pmstream("topics", "check", name)

    assert result.exit_code == 2
    assert text in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 / 0", "module_1 cannot be loaded: ZeroDivisionError: division by zero"),
        ("import no_such_thing", "module_2 cannot be loaded: ModuleNotFoundError: No module named"),
        ("def app(", "module_3 cannot be loaded: SyntaxError: "),
        ("def app(settings): raise KeyError('tenant')", "module_4:app cannot be loaded: KeyError"),
        (
            "def app(settings): return 3",
            "module_5:app answered 3 of type int; a function that makes an app is called with the",
        ),
        ("async def app(settings): ...", "module_9:app answered <coroutine object app at "),
        ("def app(): ...", "module_0:app cannot be loaded: TypeError: app() takes 0 positional "),
    ],
)
def test_a_module_that_fails_is_told_without_a_traceback(
    pmstream: Pmstream, folder: Path, code: str, text: str, request: pytest.FixtureRequest
) -> None:
    number = text.partition("module_")[2][0]
    (folder / f"module_{number}.py").write_text(code)

    result = pmstream("topics", "check", f"module_{number}:app")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"pmstream: {text}")
    assert "Traceback" not in result.output


def test_debug_shows_where_it_failed(pmstream: Pmstream, folder: Path) -> None:
    (folder / "module_6.py").write_text("1 / 0")

    result = pmstream("--debug", "topics", "check", "module_6:app")

    assert result.exit_code == 2
    assert 'module_6.py", line 1' in result.stderr


@pytest.mark.parametrize("attribute", ["app", "make_app"])
def test_an_app_or_a_function_that_makes_it(
    pmstream: Pmstream, bank: object, folder: Path, attribute: str
) -> None:
    (folder / "module_7.py").write_text(MADE + "def make_app(settings): return app\n")

    result = pmstream("topics", "check", f"module_7:{attribute}")

    assert result.exit_code == 0, result.output


def test_every_fault_of_an_app_is_told(pmstream: Pmstream, folder: Path) -> None:
    (folder / "module_8.py").write_text(
        "from pmstream import App\n"
        "app = App(name='a b', schemas='.', events={'t t': []}, commands={}, process_managers=[])\n"
    )

    result = pmstream("topics", "check", "module_8:app")

    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3


def test_a_value_that_nobody_set_is_told_with_where_to_set_it(
    pmstream: Pmstream, folder: Path
) -> None:
    (folder / "module_10.py").write_text("def make_app(settings): return settings.app['tenant']\n")

    result = pmstream("topics", "check", "module_10:make_app")

    assert result.exit_code == 2
    assert result.stderr == (
        "pmstream: the app asks for a value 'tenant' that is not set: set PMSTREAM_APP__tenant, or "
        "tenant under [app] in pmstream.toml\n"
    )
