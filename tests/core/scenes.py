"""One failure of each kind: each scene answers its shell and the step of the failing event."""

from pmstream.core.engine import Step
from pmstream.core.messages import Metadata
from pmstream.core.process import AfterCommand
from pmstream.core.routing import Route
from tests.core.kit import (
    Boom,
    Do,
    Error,
    Happened,
    Scripted,
    Seen,
    WithAfterCommand,
)
from tests.core.shell import Shell


def route_fails(error: Error) -> tuple[Shell, Step]:
    shell = Shell(Scripted(error))
    return shell, shell.arrive(Happened("it"), Route.CONTINUE_EXISTING)


def final_route_fails(error: Error) -> tuple[Shell, Step]:
    shell = Shell(Scripted(error))
    shell.arrive(Happened("first"))
    return shell, shell.arrive(Happened("it"), Route.START_NEW)


def event_fails(error: Error, raises: str = "handle") -> tuple[Shell, Step]:
    shell = Shell(Scripted(error))
    shell.arrive(Happened("first"))
    return shell, shell.arrive(Happened("it", ("a", "b"), raises))


def apply_fails(error: Error) -> tuple[Shell, Step]:
    return event_fails(error, "apply")


def command_fails(error: Error) -> tuple[Shell, Step]:
    shell = Shell(Scripted(error))
    shell.arrive(Happened("first"))
    return shell, shell.arrive(Happened("it", ("a", "bad", "c", "d")))


def after_command_fails(error: Error) -> tuple[Shell, Step]:
    def after(state: Seen, command: Do, metadata: Metadata) -> AfterCommand | None:
        if command.what == "b":
            raise Boom("in after_command")
        return None

    shell = Shell(WithAfterCommand(after, error))
    shell.arrive(Happened("first"))
    return shell, shell.arrive(Happened("it", ("a", "b", "c")))
