"""From what stands on the command line to an App, Settings and a Log."""

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from pmstream.app import App
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.runtime.log import Log

AppName = Annotated[
    str,
    typer.Argument(
        metavar="APP",
        help="module:attribute of an App, or of a function make_app(settings) -> App.",
        show_default=False,
    ),
]


def load_app(name: str, settings: Settings) -> App:
    """Imports an App; the working directory counts as a place to import from.

    Args:
        name: `module:attribute`.
        settings: handed to the attribute if that is a function.

    Raises:
        ConfigurationError: there is none, or it is wrong.
    """
    module_name, colon, attribute = name.partition(":")
    if not (module_name and colon and attribute):
        raise ConfigurationError(
            f"APP is {name!r}; it is module:attribute, for example pmstream.examples.transfer:app"
        )
    module = load_module(module_name)
    found: object = module
    for part in attribute.split("."):
        found = getattr(found, part, None)
    if found is None:
        apps = [key for key, value in vars(module).items() if isinstance(value, App)]
        hint = f"; it has {', '.join(apps)}" if apps else ""
        raise ConfigurationError(f"module {module_name} has no {attribute!r}{hint}")
    if inspect.isroutine(found):
        found = _made(name, found, settings)
    if not isinstance(found, App):
        what = "a class" if inspect.isclass(found) else f"of type {type(found).__name__}"
        raise ConfigurationError(f"{name} is {what}, neither an App nor a function that makes one")
    return found


def load_module(name: str) -> ModuleType:
    """Imports a module; the working directory counts as a place to import from.

    Raises:
        ConfigurationError: there is none, or it cannot be imported.
    """
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        return importlib.import_module(name)
    except ConfigurationError:
        raise
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"there is no module {error.name!r}, neither in {Path.cwd()} nor installed"
            ) from error
        raise _broken(name, error) from error
    except Exception as error:
        raise _broken(name, error) from error


def _made(name: str, make: object, settings: Settings) -> object:
    try:
        return make(settings)  # type: ignore[operator] # the author's; its result is checked
    except ConfigurationError:
        raise
    except Exception as error:
        raise _broken(name, error) from error


def _broken(name: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{name} cannot be loaded: {type(error).__name__}: {error} "
        "(`pmstream --debug ...` shows where)"
    )


def connect(settings: Settings) -> Log:
    """The log that the settings name. Raises ConfigurationError."""
    return _kafka(settings)


def _kafka(settings: Settings) -> Log:
    from pmstream.runtime.kafka import KafkaLog

    return KafkaLog(
        settings.bootstrap_servers,
        settings.kafka,
        session_timeout_ms=settings.session_timeout_ms,
        max_poll_interval_ms=settings.max_poll_interval_ms,
        transaction_timeout_ms=settings.transaction_timeout_ms,
        group_protocol=settings.group_protocol,
        client_id=settings.client_id,
    )
