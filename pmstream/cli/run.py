"""`pmstream run`: the supervisor. Its workers are `work`'s."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated

import typer

from pmstream import __version__
from pmstream.app import App
from pmstream.cli import logs, tracing
from pmstream.cli.loading import AppName, connect, load_app
from pmstream.cli.work import on_signals
from pmstream.config import Settings
from pmstream.core.process import LEGAL_NAME
from pmstream.errors import ConfigurationError, Stopped
from pmstream.operate import starts, topics
from pmstream.runtime.child import Spec
from pmstream.runtime.endpoint import Endpoint
from pmstream.runtime.exposition import Exposition
from pmstream.runtime.health import Health
from pmstream.runtime.supervisor import (
    Policy,
    Restart,
    Supervisor,
    worker_command,
)


class Roles(StrEnum):
    """What `--role` may be."""

    ALL = "all"
    ROUTER = "router"
    INSTANCES = "instances"


def run(
    app: AppName,
    *,
    workers: Annotated[
        int, typer.Option(min=1, help="Instances workers of each process manager.")
    ] = 1,
    routers: Annotated[int, typer.Option(min=1, help="Routers of each process manager.")] = 1,
    role: Annotated[Roles, typer.Option(help="Which workers to start.")] = Roles.ALL,
    name: Annotated[
        str | None,
        typer.Option(
            help="Begins the workers' names; must be stable and unique in the cluster.",
            show_default="the host's name",
        ),
    ] = None,
    restart: Annotated[
        Restart, typer.Option(help="When a worker that ended is started again.")
    ] = Restart.PERMANENT,
    max_restarts: Annotated[
        int, typer.Option(min=0, help="More restarts than this, and the process manager stops.")
    ] = 10,
    within: Annotated[float, typer.Option(min=1, help="... within so many seconds.")] = 60.0,
    health_port: Annotated[
        int | None,
        typer.Option(
            help="Serves /startupz, /readyz, /livez and /metrics there; 0: nowhere.",
            show_default="PMSTREAM_HEALTH_PORT, else 9464",
        ),
    ] = None,
) -> None:
    """Runs an app: starts its workers, restarts them, ends them on SIGTERM or Ctrl-C.

    Example: pmstream run bank.payments:app --workers 2

    A tenant of its own: PMSTREAM_APP__tenant=acme pmstream run bank.payments:make_app
    """
    settings = Settings.load(**({} if health_port is None else {"health_port": health_port}))
    the_app = load_app(app, settings)
    tracing.check(settings)
    specs = _specs(the_app, role, name or socket.gethostname(), workers, routers)
    logs.set_up(app=the_app.name)
    tell = logging.getLogger(logs.SUPERVISOR).info
    supervisor = Supervisor(
        specs,
        worker_command(app),
        _policy(restart, max_restarts, within, settings),
        tell,
    )
    with _endpoint(the_app, supervisor, settings):
        _check_topics(the_app, app, settings)
        on_signals(supervisor.stop)
        names = ", ".join(f"{each.process_manager} {each.role} {each.name}" for each in specs)
        tell("starts %s", names)
        given_up = supervisor.run()
    if given_up:
        raise Stopped("\n".join(f"{manager} stopped: {why}" for manager, why in given_up.items()))
    tell("ended, as asked")


def _policy(restart: Restart, most: int, within_s: float, settings: Settings) -> Policy:
    stall_s = settings.max_poll_interval_ms / 1000
    return Policy(restart, most, within_s, settings.shutdown_timeout_s, stall_s)


@contextmanager
def _endpoint(app: App, supervisor: Supervisor, settings: Settings) -> Iterator[None]:
    """Serves health and metrics meanwhile, if they are wanted."""
    if not settings.health_port:
        yield
        return
    health = Health(supervisor, settings.max_poll_interval_ms / 1000)
    endpoint = Endpoint(settings.health_port, Exposition(app.name, __version__, health))
    try:
        yield
    finally:
        endpoint.close()


def _specs(app: App, role: Roles, name: str, workers: int, routers: int) -> list[Spec]:
    if not LEGAL_NAME.fullmatch(name):
        raise ConfigurationError(
            f"worker name {name!r} is not 1 to 100 of letters, digits, '.', '_', '-'; give "
            "another one by --name"
        )
    counts = {Roles.ROUTER: routers, Roles.INSTANCES: workers}
    specs = [
        Spec(manager, str(each), f"{name}-{number}")
        for manager in app.process_managers
        for each, count in counts.items()
        if role in (Roles.ALL, each) and each in app.roles(manager)
        for number in range(1, count + 1)
    ]
    if not specs:
        raise ConfigurationError(
            f"no process manager of {app.name} has a {role}: each reads its source topic itself "
            "(option keyed); run the role instances"
        )
    return specs


def _check_topics(app: App, name: str, settings: Settings) -> None:
    """Tells what no restart would mend, before any worker starts."""
    log = connect(settings)
    plan, found = topics.plan(app, log, settings), starts.find_starts(app, log)
    faults = [*plan.faults, *found.faults]
    lacking = [f"topic {spec.name}" for spec in plan.create]
    lacking += [f"start of {each.process_manager} in {each.topic}" for each in found.new]
    if lacking:
        faults.append(f"there is no {', no '.join(lacking)}: run `pmstream topics ensure {name}`")
    if faults:
        raise ConfigurationError(*faults)
    if plan.differences:
        logging.getLogger(logs.SUPERVISOR).warning(
            "%d topic settings differ: `pmstream topics check %s` shows them",
            len(plan.differences),
            name,
        )
