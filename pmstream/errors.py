"""Every error of pmstream, named by what the catcher must do.

    PmstreamError
    ├── ConfigurationError    correct the app, the settings or the command line   (exit code 2)
    ├── Unreachable           bring Kafka back or correct the address             (exit code 69)
    ├── Stopped               read the reason, mend it, start again               (exit code 70)
    ├── Busy                  try again later                                     (exit code 75)
    └── ProcessError          what error() receives beside what the author's own code raised
        ├── NotStarted        continue! met no instance
        ├── AlreadyStarted    start! met an instance
        ├── AlreadyCompleted  start! met the marker of a completed process
        ├── InvalidRoute      interested() answered something that is no route
        ├── CommandInvalid    a command cannot be encoded, has no topic or no key, or is too large
        ├── CommandRejected   confirm mode: the service said no; holds its reason
        ├── CommandTimeout    confirm mode: no reply within confirm_timeout
        ├── EventTimeout      the callbacks of one input took longer than event_timeout
        └── StateInvalid      the new state cannot be encoded, or is too large

    TimeUp (a BaseException)  interrupts the author's code, and becomes an EventTimeout

How a log fails is told in `pmstream.runtime.log`, because only the runtime catches it.
"""

from collections.abc import Sequence
from typing import Any


class PmstreamError(Exception):
    """The root of all errors that pmstream raises on purpose."""


class ConfigurationError(PmstreamError):
    """The app, the settings or the command line are wrong; holds every fault found.

    Args:
        faults: one sentence for each fault.
    """

    def __init__(self, *faults: str) -> None:
        self.faults: Sequence[str] = faults
        super().__init__("\n".join(faults))


class Unreachable(PmstreamError):
    """Kafka does not answer."""


class Stopped(PmstreamError):
    """A process manager stopped itself: its error() said so, or a rule of safety did."""


class Busy(PmstreamError):
    """Somebody else holds what is needed; the same call may succeed later."""


class Undecodable(PmstreamError):
    """The bytes of a record are not what the declared schemas can read."""


class ProcessError(PmstreamError):
    """The root of what error() receives beside the exceptions of the author's own code."""


class NotStarted(ProcessError):
    """ContinueExisting met no instance (Commanded: `:process_not_started`)."""


class AlreadyStarted(ProcessError):
    """StartNew met an instance (Commanded: `:process_already_started`)."""


class AlreadyCompleted(ProcessError):
    """StartNew met the marker that a completed process left."""


class InvalidRoute(ProcessError):
    """interested() answered something that is no route, or an illegal process UUID."""


class CommandInvalid(ProcessError):
    """A command cannot be sent: undeclared type, wrong field, no key, or too large."""


class CommandRejected(ProcessError):
    """The service that a command went to rejected it (confirm mode).

    Args:
        reason: what the service said: plain data, from the reply's JSON.
    """

    def __init__(self, reason: Any = None) -> None:
        self.reason = reason
        super().__init__("the command was rejected" if reason is None else str(reason))


class CommandTimeout(ProcessError):
    """No reply to a command came within `confirm_timeout`; the service may have done it."""


class EventTimeout(ProcessError):
    """The callbacks of one input took longer than `event_timeout`."""


class TimeUp(BaseException):
    """Interrupts the author's code at `event_timeout`; `except Exception` cannot swallow it."""


class StateNewer(PmstreamError):
    """An instance was written by newer code: leave it alone until that code runs here."""


class StateInvalid(ProcessError):
    """The state that apply() returned cannot be stored: wrong type, wrong field, or too large."""
