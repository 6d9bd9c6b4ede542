"""The process manager that a command is about: an app's name does as well as its code."""

from typing import Annotated

import typer
from msgspec import Struct

from pmstream.app import Names
from pmstream.cli.loading import connect, load_app
from pmstream.config import Settings
from pmstream.core.process import Callbacks, bind
from pmstream.errors import ConfigurationError
from pmstream.runtime.log import Log

AppOrName = Annotated[
    str,
    typer.Argument(
        metavar="APP", help="module:attribute of an App, or just its name.", show_default=False
    ),
]
ManagerName = Annotated[
    str, typer.Argument(metavar="PM", help="The process manager's name.", show_default=False)
]
ManagerOrAll = Annotated[
    str | None,
    typer.Argument(metavar="[PM]", help="Only this process manager.", show_default=False),
]
Uuid = Annotated[str, typer.Argument(metavar="UUID", help="Of the process.", show_default=False)]


class Target(Struct, frozen=True):
    """What is known of it.

    Attributes:
        app: what the command line calls the app.
        names: of its topics.
        callbacks: None: only its name is known.
        keyed: the source topic of direct mode; None without, or when only its name is known.
        log: the cluster.
        settings: of this command.
    """

    app: str
    names: Names
    callbacks: Callbacks | None
    keyed: str | None
    log: Log
    settings: Settings

    @property
    def fields(self) -> tuple[str, ...]:
        """Of its state, as they are stored; none if only its name is known."""
        if self.callbacks is None:
            return ()
        return tuple(self.callbacks.state.__struct_encode_fields__)


def target(app: str, process_manager: str) -> Target:
    """The process manager, and the cluster. Raises ConfigurationError."""
    (found,) = targets(app, process_manager)
    return found


def targets(app: str, process_manager: str | None) -> list[Target]:
    """The process manager, or all of the app when none is named. Raises ConfigurationError."""
    settings = Settings.load()
    if ":" not in app:
        if process_manager is None:
            raise ConfigurationError(
                f"{app} is only an app's name: say which process manager, or give the app as "
                "module:attribute, which knows all of them"
            )
        names = Names(app, process_manager)
        return [Target(app, names, None, None, connect(settings), settings)]
    the_app = load_app(app, settings)
    managers = list(the_app.process_managers.values())
    if process_manager is not None:
        managers = [the_app.manager(process_manager)]
    log = connect(settings)
    return [
        Target(app, Names(the_app.name, each.name), bind(each), each.keyed, log, settings)
        for each in managers
    ]
