"""A finding: what is wrong, where, and what to do about it."""

from enum import StrEnum

from msgspec import Struct

APP = "APP"
"""Stands in remedies for the name of the app at hand."""


class Severity(StrEnum):
    """How bad it is.

    A *failure* keeps a worker from running, or breaks a promise. A *warning* will hurt on a worse
    day. What is *skipped* could not be looked at. *ok* is how it should be, or worth knowing.
    """

    OK = "ok"
    SKIPPED = "skipped"
    WARNING = "warning"
    FAILURE = "failure"


class Finding(Struct, frozen=True):
    """One thing that was found.

    Attributes:
        check: which check found it.
        code: what kind of finding it is; stable, see `docs/doctor.md`. "fine": nothing is wrong.
        severity: how bad it is.
        where: broker, topic, group, file; "" if the sentence says it.
        what: what is wrong.
        remedy: what to do about it; "" if there is nothing to do.
    """

    check: str
    code: str
    severity: Severity
    where: str
    what: str
    remedy: str = ""


class Kind(Struct, frozen=True):
    """What all findings of one code have in common.

    Attributes:
        code: its name.
        severity: how bad it is.
        meaning: what it says and why that matters, for the docs.
        remedy: what to do about it; APP stands for the app.
    """

    code: str
    severity: Severity
    meaning: str
    remedy: str = ""

    def found(self, where: str, what: str) -> Finding:
        """A finding of this kind."""
        return Finding("", self.code, self.severity, where, what, self.remedy)


def note(code: str, meaning: str) -> Kind:
    """Worth knowing, and nothing to do."""
    return Kind(code, Severity.OK, meaning)


def skipped(code: str, meaning: str, remedy: str) -> Kind:
    """Could not be looked at."""
    return Kind(code, Severity.SKIPPED, meaning, remedy)


def warning(code: str, meaning: str, remedy: str) -> Kind:
    """Will hurt on a worse day."""
    return Kind(code, Severity.WARNING, meaning, remedy)


def failure(code: str, meaning: str, remedy: str) -> Kind:
    """Keeps a worker from running, or breaks a promise."""
    return Kind(code, Severity.FAILURE, meaning, remedy)
