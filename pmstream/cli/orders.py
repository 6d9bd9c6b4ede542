"""Orders of operators: `pmstream instances retry ...`, `timers fire`, `pause`, and their kin."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from pmstream.cli.loading import clock
from pmstream.cli.ordering import Ask, Many, Uuids, finish, order, tell_dry, user
from pmstream.cli.spread import spread
from pmstream.cli.target import AppOrName, ManagerName, Uuid, target
from pmstream.core.orders import Verb
from pmstream.errors import ConfigurationError
from pmstream.operate import orders

HELP: Mapping[Verb, str] = {
    Verb.RETRY: """Tries now what waits for a retry or an operator; attempts and context go on.

    Example: pmstream instances retry bank.payments:app transfer-money 7f6c... --yes
    """,
    Verb.RELEASE: """Tries parked ones now, as if for the first time; what waits behind follows.

    Example: pmstream instances release bank.payments:app transfer-money --condition parked
    --where 'amount > 100' --rate 20 --yes
    """,
    Verb.SKIP: """Drops what instances work on: the event, or the command at hand.

    Example: pmstream instances skip bank.payments:app transfer-money 7f6c... --yes
    """,
    Verb.PARK: """Lets what instances work on wait for an operator.

    Example: pmstream instances park bank.payments:app transfer-money 7f6c... --why "a bug" --yes
    """,
    Verb.STOP: """Ends instances: their states, their timers, and what they work on.

    Example: pmstream instances stop bank.payments:app transfer-money 7f6c... --why "a test" --yes
    """,
}
"""Of the verbs that take no arguments of their own."""

_MANY = """

    It is a dry run until --yes. Exit code 1: some were refused, or have no answer yet."""


def add_instances(commands: typer.Typer) -> None:
    """Adds the orders to instances to `pmstream instances`."""
    for verb, text in HELP.items():
        commands.command(name=str(verb), help=text + _MANY)(_plain(verb))
    commands.command(name="edit")(edit)


def add_timers(commands: typer.Typer) -> None:
    """Adds the orders to timers to `pmstream timers`."""
    commands.command(name="fire")(fire)
    commands.command(name="cancel")(cancel)


def _plain(verb: Verb) -> Any:
    @spread
    def command(
        app: AppOrName,
        process_manager: ManagerName,
        uuids: Uuids = None,
        *,
        many: Many,
        ask: Ask,
    ) -> None:
        order(target(app, process_manager), verb, uuids or (), many, {}, ask)

    return command


_Fields = Annotated[
    list[str] | None,
    typer.Option(metavar="FIELD=JSON", help="May be given several times.", show_default=False),
]


@spread
def edit(
    app: AppOrName,
    process_manager: ManagerName,
    uuids: Uuids = None,
    *,
    new: Annotated[
        list[str],
        typer.Option(
            "--set", metavar="FIELD=JSON", help="The new value; may be given several times."
        ),
    ],
    expect: _Fields = None,
    many: Many,
    ask: Ask,
) -> None:
    """Changes fields of the state, if others are as expected; --why is needed.

    It is a dry run until --yes. Exit code 1: some were refused, or have no answer yet.

    Example: pmstream instances edit bank.payments:app transfer-money 7f6c... --set amount=100
    --expect 'status="deposit"' --why "a typing error" --yes
    """
    arguments = {"set": _fields(new, "--set")}
    if expect:
        arguments["expect"] = _fields(expect, "--expect")
    to = target(app, process_manager)
    order(to, Verb.EDIT, uuids or (), many, arguments, ask)


_Timer = Annotated[str, typer.Argument(metavar="NAME", help="Of the timer.", show_default=False)]


@spread
def fire(
    app: AppOrName, process_manager: ManagerName, uuid: Uuid, name: _Timer, *, ask: Ask
) -> None:
    """Lets a timer come due now. It is a dry run until --yes.

    Example: pmstream timers fire bank.payments:app transfer-money 7f6c... expire --yes
    """
    order(target(app, process_manager), Verb.FIRE, [uuid], Many(), {"name": name}, ask)


@spread
def cancel(
    app: AppOrName, process_manager: ManagerName, uuid: Uuid, name: _Timer, *, ask: Ask
) -> None:
    """Forgets a timer. It is a dry run until --yes.

    Example: pmstream timers cancel bank.payments:app transfer-money 7f6c... expire --yes
    """
    order(target(app, process_manager), Verb.CANCEL, [uuid], Many(), {"name": name}, ask)


@spread
def pause(app: AppOrName, process_manager: ManagerName, *, ask: Ask) -> None:
    """Lets all partitions of a process manager take orders only, until `resume`.

    It may be given before workers start: then none handles an event. A dry run until --yes.

    Example: pmstream pause bank.payments:app transfer-money --why "an incident" --yes
    """
    _all(app, process_manager, Verb.PAUSE, ask)


@spread
def resume(app: AppOrName, process_manager: ManagerName, *, ask: Ask) -> None:
    """Lets all partitions of a process manager go on. It is a dry run until --yes.

    Example: pmstream resume bank.payments:app transfer-money --yes
    """
    _all(app, process_manager, Verb.RESUME, ask)


def _all(app: str, process_manager: str, verb: Verb, ask: Ask) -> None:
    to = target(app, process_manager)
    count = orders.partitions(to.log, to.names)
    if not ask.yes:
        does = "take orders only" if verb is Verb.PAUSE else "go on"
        tell_dry(f"all {count} partitions of {process_manager} would {does}")
        return
    who, now = ask.who or user(), clock().now()
    given = orders.give_all(to.log, to.names, verb, who, ask.why, now)
    finish(orders.answered(to.log, given, clock(), ask.timeout), to, ask)


def _fields(texts: list[str], option: str) -> dict[str, Any]:
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ConfigurationError(
                f"{option} is {text!r}; it is FIELD=JSON, for example amount=100 or "
                """'status="deposit"'"""
            )
        try:
            found[name] = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(
                f"{option} {name}: {value!r} is no JSON ({error}); a text stands in quotes: "
                f"""'{name}="{value}"'"""
            ) from None
    return found
