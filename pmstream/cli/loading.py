"""From what stands on the command line to an App, Settings and a Log."""

import importlib
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated

import typer

from pmstream.app import App
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.runtime.clock import Clock, SystemClock
from pmstream.runtime.log import Log
from pmstream.runtime.survey import Survey

if TYPE_CHECKING:
    from pmstream.runtime.kafka import KafkaLog

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
        settings: handed to the attribute if that is a function: called at each start of a command
            and of a worker, it makes the app of the deployment at hand (Commanded's `init/1`).

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
    if callable(found) and not inspect.isclass(found):
        return _made(name, found, settings)
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


def _made(name: str, make: Callable[[Settings], object], settings: Settings) -> App:
    try:
        found = make(settings)
    except ConfigurationError:
        raise
    except Exception as error:
        raise _broken(name, error) from error
    if inspect.iscoroutine(found):
        found.close()  # or Python would complain that nobody awaited it
    if not isinstance(found, App):
        raise ConfigurationError(
            f"{name} answered {found!r:.60} of type {type(found).__name__}; a function that makes "
            "an app is called with the Settings and returns an App"
        )
    return found


def _broken(name: str, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"{name} cannot be loaded: {type(error).__name__}: {error} "
        "(`pmstream --debug ...` shows where)"
    )


def connect(settings: Settings) -> Log:
    """The log that the settings name. Raises ConfigurationError."""
    return _kafka(settings)


def clock() -> Clock:
    """Time, as the log has it."""
    return _clock()


def survey(settings: Settings) -> Survey:
    """Asks the cluster that the settings name about itself. Raises ConfigurationError."""
    return _survey(settings)


def _survey(settings: Settings) -> Survey:
    return _kafka_log(settings).survey()


def _clock() -> Clock:
    return SystemClock()


def _kafka(settings: Settings) -> Log:
    return _kafka_log(settings)


def _kafka_log(settings: Settings) -> "KafkaLog":
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
