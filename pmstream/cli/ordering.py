"""What every order on the command line has in common: whom, why, a dry run, and the waiting.

Rule: nothing is ordered without --yes; what was ordered is told one by one, accepted or not.
"""

import getpass
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from msgspec import Struct

from pmstream.cli import exits
from pmstream.cli.loading import clock
from pmstream.cli.output import Output, OutputOption, counted, show, working
from pmstream.cli.target import Target
from pmstream.core.lifecycle import Condition
from pmstream.core.orders import Order, Verb
from pmstream.core.routing import check_uuid
from pmstream.errors import ConfigurationError, InvalidRoute
from pmstream.operate import orders, selection
from pmstream.operate.orders import Answered, Verdict
from pmstream.operate.rehearsal import rehearse
from pmstream.operate.selection import Found, Wanted

MOST_AT_ONCE = 1_000
"""Instances that one command orders about, unless --limit says otherwise."""

RATE = 50.0
"""Orders a second, unless --rate says otherwise."""

TIMEOUT_SECONDS = 30.0
"""For the outcome of an order, unless --timeout says otherwise."""

READING = "reading the changelog"

NEEDS_WHY = frozenset({Verb.EDIT, Verb.STOP})
"""These change what no event said, so the audit must tell why."""

Uuids = Annotated[
    list[str] | None,
    typer.Argument(metavar="UUID", help="Of the processes.", show_default=False),
]
WhereOption = Annotated[
    str,
    typer.Option(
        "--where",
        metavar="EXPRESSION",
        help="""Those for which it holds: 'status == "deposit" and $attempts > 3'.""",
        show_default=False,
    ),
]
ConditionOption = Annotated[
    list[Condition] | None,
    typer.Option("--condition", help="Those in it; may be given several times."),
]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="So many instances at most.")]
RateOption = Annotated[float, typer.Option("--rate", min=0.1, help="Orders a second.")]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Do it. Without, it is only told what would be done.")
]
WhyOption = Annotated[str, typer.Option("--why", help="For the audit.", show_default=False)]
WhoOption = Annotated[str, typer.Option("--who", help="For the audit.", show_default="the user")]
TimeoutOption = Annotated[
    float, typer.Option("--timeout", min=0, help="Seconds to wait for each outcome.")
]


class Ask(Struct, frozen=True, kw_only=True):
    """How an order is given, whatever the verb.

    Attributes:
        why, who: for the audit.
        timeout: seconds for each outcome.
        yes: do it.
        output: how to tell it.
    """

    why: WhyOption = ""
    who: WhoOption = ""
    timeout: TimeoutOption = TIMEOUT_SECONDS
    yes: YesOption = False
    output: OutputOption = Output.TABLE


class Many(Struct, frozen=True, kw_only=True):
    """Which instances are meant, unless their UUIDs are told.

    Attributes:
        where, condition: those for which they hold.
        limit: so many at most.
        rate: orders a second.
    """

    where: WhereOption = ""
    condition: ConditionOption = None
    limit: LimitOption = MOST_AT_ONCE
    rate: RateOption = RATE


def user() -> str:
    """Who runs this command, for the audit."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in a pod
        return f"uid {os.getuid()}"


def order(
    to: Target,
    verb: Verb,
    uuids: Sequence[str],
    many: Many,
    arguments: Mapping[str, Any],
    ask: Ask,
) -> None:
    """Orders, or tells what would be ordered; ends the command by the exit code.

    Raises:
        ConfigurationError: it is not told whom, or why.
    """
    check_why(verb, ask)
    now = clock().now()
    found = _chosen(to, uuids, many, now)
    if not found:
        exits.tell("no instance matches: nothing is to be ordered")
        return
    made = orders.make(verb, found, arguments, ask.who or user(), ask.why, now)
    if not ask.yes:
        _rehearse(to, made, found, ask)
        return
    running = orders.carry_out(to.log, to.names, made, clock(), ask.timeout, many.rate)
    finish(counted(running, "orders answered"), to, ask)


def check_why(verb: Verb, ask: Ask) -> None:
    """Raises ConfigurationError: the audit needs a reason."""
    if ask.yes and verb in NEEDS_WHY and not ask.why.strip():
        raise ConfigurationError(
            f"{verb} changes what no event said: tell by --why, for the audit, what for"
        )


def _chosen(to: Target, uuids: Sequence[str], many: Many, now: int) -> dict[str, Found | None]:
    if bool(many.condition or many.where) == bool(uuids):
        raise ConfigurationError(
            "say which instances: by their UUIDs, or by --where and --condition, one of the two"
        )
    if uuids:
        if len(set(uuids)) > many.limit:
            raise ConfigurationError(f"{len(set(uuids))} UUIDs; --limit is {many.limit}")
        try:
            each_once = dict.fromkeys(check_uuid(each) for each in uuids)
        except InvalidRoute as error:
            raise ConfigurationError(str(error)) from None
        with working(READING):
            there = selection.named(to.log, to.names, each_once)
        return {each: there.get(each) for each in each_once}
    wanted = Wanted(conditions=tuple(many.condition or ()), where=many.where, fields=to.fields)
    with working(READING):
        found = selection.choose(to.log, to.names, wanted, now)
    if len(found) > many.limit:
        exits.tell(f"{len(found)} instances match, the first {many.limit} are meant: see --limit")
    return {each.seen.uuid: each for each in found[: many.limit]}


def _rehearse(
    to: Target, made: Sequence[Order], found: Mapping[str, Found | None], ask: Ask
) -> None:
    rows = []
    for each in made:
        there = found[each.process_uuid]
        instance = there.instance if there is not None else None
        told = rehearse(each, instance, to.callbacks, to.settings.max_message_bytes)
        rows.append(
            {
                "uuid": each.process_uuid,
                "condition": there.seen.condition if there is not None else Condition.ABSENT,
                "would": told.would,
                "because": told.refused or None,
            }
        )
    show(rows, ask.output)
    refused = sum(each["because"] is not None for each in rows)
    tell_dry(f"{len(rows)} orders to {made[0].verb}, {refused} would be refused")


def tell_dry(what: str) -> None:
    """Says that nothing was done."""
    exits.tell(f"a dry run: {what}. Nothing was ordered; --yes does it")


def finish(answers: Iterable[Answered], to: Target, ask: Ask) -> None:
    """Shows what became of orders; ends the command with exit code 1 unless all were accepted."""
    found = sorted(answers, key=lambda each: each.order.process_uuid)
    show([_row(each) for each in found], ask.output)
    count = {verdict: sum(each.verdict is verdict for each in found) for verdict in Verdict}
    told = ", ".join(f"{number} {verdict}" for verdict, number in count.items() if number)
    exits.tell(told)
    if count[Verdict.UNANSWERED]:
        exits.tell(
            f"orders without an answer in {ask.timeout:g} s stay valid: the outcome will stand in "
            f"`pmstream instances history {to.app} {to.names.process_manager} UUID`; does "
            "an instances worker run (`pmstream status`)?"
        )
    if count[Verdict.ACCEPTED] < len(found):
        raise typer.Exit(exits.FOUND)


def _row(answered: Answered) -> dict[str, Any]:
    order, outcome = answered.order, answered.outcome
    before = outcome.before if outcome is not None else None
    after = outcome.after if outcome is not None else None
    absent = str(Condition.ABSENT) if outcome is not None else None
    return {
        "uuid": order.process_uuid or None,
        "verdict": str(answered.verdict),
        "before": before.condition if before is not None else absent,
        "after": after.condition if after is not None else absent,
        "because": (outcome.refused or None) if outcome is not None else None,
    }
