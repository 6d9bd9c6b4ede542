"""The one place that turns what went wrong into one sentence and an exit code."""

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from pmstream.errors import Busy, ConfigurationError, PmstreamError, Stopped, Unreachable
from pmstream.runtime.log_errors import Again, LogError, OutcomeUnknown, Refused, Unavailable

DONE, FOUND, USAGE, UNREACHABLE, STOPPED, TRY_AGAIN, INTERRUPTED = 0, 1, 2, 69, 70, 75, 130

CODES: tuple[tuple[type[Exception], int], ...] = (
    (ConfigurationError, USAGE),
    (Unreachable, UNREACHABLE),
    (Unavailable, UNREACHABLE),
    (Stopped, STOPPED),
    (Busy, TRY_AGAIN),
    (Refused, USAGE),
    (Again, TRY_AGAIN),
    (OutcomeUnknown, TRY_AGAIN),
    (LogError, TRY_AGAIN),
    (PmstreamError, FOUND),
)
"""The first that fits; operations.md §3."""


def code(error: Exception) -> int:
    """The exit code of an error."""
    return next((number for kind, number in CODES if isinstance(error, kind)), FOUND)


def say(error: Exception, *, debug: bool) -> int:
    """Tells an error on standard error.

    Args:
        error: what reached the top.
        debug: show where it came from, too.

    Returns:
        The exit code.
    """
    if debug:
        traceback.print_exception(error)
    if isinstance(error, PmstreamError):
        tell(str(error) or type(error).__name__)
    else:
        tell(
            f"internal error, {type(error).__name__}: {error}; `pmstream --debug ...` shows where: "
            "please report it"
        )
    return code(error)


def tell(text: str) -> None:
    """Says what is wrong, on standard error."""
    for line in text.splitlines():
        print(f"pmstream: {line}", file=sys.stderr)


class Group(TyperGroup):
    """The root of all commands: whatever a command raises ends here."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Runs a command line; ends the process with its exit code."""
        arguments = list(sys.argv[1:] if args is None else args)
        try:
            ended = super().main(
                arguments,
                prog_name,
                complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )
            sys.stdout.flush()
        except TyperException as error:
            _usage(error)
            sys.exit(error.exit_code)
        except (KeyboardInterrupt, typer.Abort):
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(DONE)
        except Exception as error:  # noqa: BLE001 - the last place where anything can be told
            sys.exit(say(error, debug="--debug" in arguments))
        sys.exit(ended if isinstance(ended, int) else DONE)


def _usage(error: TyperException) -> None:
    context = getattr(error, "ctx", None)
    hint = f" (see `{context.command_path} --help`)" if context else ""
    tell(error.format_message().rstrip(".") + hint)
