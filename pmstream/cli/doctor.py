"""`pmstream doctor`: names what is wrong with all that an app stands on, and the remedies."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Annotated

import msgspec
import typer

from pmstream.cli import exits
from pmstream.cli.loading import AppName, connect, load_app, survey
from pmstream.cli.output import Output, OutputOption, console, counted, print_json
from pmstream.config import Settings
from pmstream.operate.doctor import UNREACHABLE, Case, Finding, Severity, examine
from pmstream.runtime.clock import SystemClock

_MARKS = {
    Severity.OK: "ok",
    Severity.SKIPPED: "skipped",
    Severity.WARNING: "WARNING",
    Severity.FAILURE: "FAILURE",
}


def doctor(
    app: AppName,
    *,
    scratch: Annotated[
        bool,
        typer.Option(
            "--scratch/--no-scratch",
            help="Make a topic and a group, send a transaction through them, delete them.",
        ),
    ] = True,
    output: OutputOption = Output.TABLE,
) -> None:
    """Examines cluster, topics, permissions and this machine; exit code 1 if anything fails.

    Warnings alone are exit code 0; 69: no broker answers. Run it as the workers run: same user,
    settings and machine. It alters nothing, but makes a scratch topic and deletes it.

    Example: pmstream doctor bank.payments:app

    Example: pmstream doctor bank.payments:app --no-scratch -o json
    """
    settings = Settings.load()
    case = Case(
        app=load_app(app, settings),
        settings=settings,
        log=connect(settings),
        survey=survey(settings),
        clock=SystemClock(),
        name=app,
        scratch=scratch,
    )
    if output is Output.JSON:
        told = list(counted(examine(case), "findings"))
        print_json([msgspec.to_builtins(each) for each in told])
    else:
        told = list(_shown(examine(case)))
        print(_summary(case.app.name, told))
    raise typer.Exit(_code(told))


def _shown(findings: Iterable[Finding]) -> Iterator[Finding]:
    """The same findings, each printed, the name of a check beside its first one."""
    wide, before = console(), ""
    for each in findings:
        for line in _lines(each, "" if each.check == before else each.check):
            wide.print(line, soft_wrap=True)
        before = each.check
        yield each


def _lines(finding: Finding, check: str) -> Iterator[str]:
    where = f"{finding.where}: " if finding.where else ""
    yield f"{check:<18} {_MARKS[finding.severity]:<8} {where}{finding.what}"
    if finding.remedy:
        yield f"{'':<18} {'':<8} -> {finding.remedy} [{finding.code}]"


def _summary(app: str, findings: Iterable[Finding]) -> str:
    count = Counter(each.severity for each in findings)
    told = [
        f"{count[severity]} {word if count[severity] == 1 else word + 's'}"
        for severity, word in (
            (Severity.FAILURE, "failure"),
            (Severity.WARNING, "warning"),
        )
        if count[severity]
    ]
    text = ", ".join(told) or "nothing is wrong"
    left_out = count[Severity.SKIPPED]
    return f"doctor of {app}: {text}" + (f" ({left_out} skipped)" if left_out else "")


def _code(findings: Iterable[Finding]) -> int:
    found = list(findings)
    if any(each.code == UNREACHABLE.code for each in found):
        return exits.UNREACHABLE
    return exits.FOUND if any(each.severity is Severity.FAILURE for each in found) else exits.DONE
