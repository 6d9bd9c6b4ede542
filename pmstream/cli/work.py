"""The hidden `pmstream worker`: one worker in this process.

Rule: it imports what a worker needs and no other command, because each start and restart waits for
it; so `pmstream.cli.main` comes here first.
"""

import faulthandler
import gc
import os
import signal
import stat
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated

import typer

from pmstream.app import App
from pmstream.cli import exits, logs, tracing
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.config import Settings
from pmstream.errors import ConfigurationError
from pmstream.runtime.clock import Clock
from pmstream.runtime.commit import Probe
from pmstream.runtime.log import Log
from pmstream.runtime.report import Reporter, end_with_parent
from pmstream.runtime.supervisor import DUMP_SIGNAL
from pmstream.runtime.trail import Trail
from pmstream.runtime.worker import Worker


def worker(
    app: AppName,
    process_manager: Annotated[str, typer.Argument()],
    role: Annotated[str, typer.Argument()],
    name: Annotated[str, typer.Argument()],
) -> None:
    """Runs one worker in this process (`pmstream run` starts it).

    Example: pmstream worker bank.payments:app transfer-money instances host-1
    """
    serve(app, process_manager, role, name)


def serve(
    app: str, process_manager: str, role: str, name: str, probe: Probe = lambda _step: None
) -> None:
    """Runs one worker until a signal or its supervisor ends it.

    Args:
        app: `module:attribute`.
        process_manager: its name in the app.
        role: router or instances.
        name: the worker's stable name.
        probe: told each step of a commit; the chaos run kills itself there.

    Raises:
        typer.Exit: it ended by an error, which is told.
    """
    from pmstream.runtime.folder import lock_directory
    from pmstream.runtime.roles import INSTANCES, ROLES, make_worker

    settings = Settings.load()
    the_app = load_app(app, settings)
    the_app.manager(process_manager)
    if role not in ROLES:
        raise ConfigurationError(f"role is {role!r}; it is {' or '.join(ROLES)}")
    folder = settings.state_dir / the_app.name / process_manager / name
    who = {"app": the_app.name, "pm": process_manager, "role": role, "worker": name}
    with _traced(the_app, settings, who) as trail:
        attend(
            lambda log, clock: make_worker(
                the_app, process_manager, role, name, log, settings, clock, logs.told, probe, trail
            ),
            settings,
            lock_directory(folder, settings.shutdown_timeout_s)
            if role == INSTANCES
            else nullcontext(),
            **who,
        )


def _traced(
    app: App, settings: Settings, who: dict[str, str]
) -> AbstractContextManager[Trail | None]:
    about = {
        "service.instance.id": f"{who['worker']}/{who['role']}",
        "pmstream.process_manager": who["pm"],
    }
    return tracing.tracing(settings, app.name, lambda text: logs.told("tracing", -1, text), **about)


COLLECTED_AFTER = (50_000, 20, 50)
"""What Python's collector waits for: at its default of 700 objects it took a tenth of all time."""


def attend(
    make: Callable[[Log, Clock], Worker],
    settings: Settings,
    held: AbstractContextManager[object],
    **who: str,
) -> None:
    """Makes a worker and runs it until a signal or its supervisor ends it.

    Args:
        make: the worker.
        settings: of the log and of shutting down.
        held: entered for as long as it lives.
        who: stands in each line of its log.

    Raises:
        typer.Exit: it ended by an error, which is told.
    """
    from pmstream.runtime.clock import SystemClock

    logs.set_up(**who)
    gc.set_threshold(*COLLECTED_AFTER)
    stop, reporter = _Flag(), Reporter(settings.max_poll_interval_ms / 1000)
    on_signals(stop.set)
    faulthandler.register(DUMP_SIGNAL, all_threads=True)
    if _is_pipe(0):
        end_with_parent(stop.set, settings.shutdown_timeout_s)
    with held:
        try:
            made = make(connect(settings), SystemClock())
            logs.told("started", -1, f"process {os.getpid()}")
            made.run(lambda: reporter.beat(made.vitals) or stop.is_set)
        except Exception as error:
            logs.ended(error)
            reporter.ends(str(error))
            raise typer.Exit(exits.code(error)) from error
    logs.told("ended", -1, "as asked")


class _Flag:
    def __init__(self) -> None:
        self.is_set = False

    def set(self) -> None:
        self.is_set = True


def on_signals(stop: Callable[[], None]) -> None:
    """What SIGTERM and SIGINT do from now on."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stop())


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


alone = typer.Typer(
    name="pmstream",
    cls=exits.Group,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)
"""The command line of a worker's process."""


@alone.callback()
def _no_options() -> None:
    """Makes `worker` a command of its own name, as in `root`."""


alone.command(hidden=True)(worker)
