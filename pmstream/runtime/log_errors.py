"""How a log may fail: errors named by what the catcher must do."""

from pmstream.errors import PmstreamError


class LogError(PmstreamError):
    """The root of what a log may answer instead of doing it."""


class Again(LogError):
    """Nothing is decided: repeat the same call with the same arguments."""


class OffsetPending(Again):
    """A transaction that moves this committed position is still open."""


class MustAbort(LogError):
    """The transaction cannot be committed: `abort`, then do the batch again."""


class MustGather(MustAbort):
    """The membership is not one of the group's present generation: `abort`, gather, do it again.

    The batch is not to blame.
    """


class NotAllowed(MustAbort):
    """A permission is missing: `abort`, and stop; to do it again would change nothing."""


class OutcomeUnknown(LogError):
    """Whether the transaction counts cannot be told.

    Drop the producer, make a new one with the same id, and read every position again.
    """


class Fenced(OutcomeUnknown):
    """Somebody uses the same transactional id, took it over, or the broker timed it out."""


class Refused(LogError):
    """The log will never do this: unknown topic, not authorised, record too large, bad setting."""


class Unavailable(LogError):
    """The log cannot be reached (at start: wrong address or no broker)."""


class PositionLost(LogError):
    """The position to read is not in the log (any more): below its start or beyond its end."""

    def __init__(self, where: tuple[str, int], message: str) -> None:
        self.where = where
        super().__init__(message)
