"""What `interested` may answer, and what each answer means to an instance.

Rule: a route is looked up in ROUTES when the input's turn comes, not when it arrives.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from pmstream.core.durations import Duration, milliseconds
from pmstream.core.instance import Status
from pmstream.errors import AlreadyCompleted, AlreadyStarted, InvalidRoute, NotStarted

MAX_UUID_BYTES = 255


class Start(Struct, frozen=True):
    """Create the instance, or go on with it when it exists (Commanded's `:start`).

    Args:
        ids: one process UUID, or several: each of those instances gets the event once.
    """

    ids: str | Iterable[str]


class StartNew(Struct, frozen=True):
    """Create the instance; fail with `AlreadyStarted` when it exists (Commanded's `:start!`)."""

    ids: str | Iterable[str]


class Continue(Struct, frozen=True):
    """Go on with the instance, or create it when there is none (Commanded's `:continue`)."""

    ids: str | Iterable[str]


class ContinueExisting(Struct, frozen=True):
    """Go on with the instance; fail with `NotStarted` when there is none (`:continue!`).

    Args:
        ids: as in `Start`.
        hold: how long an early event waits for the start, in order, before it fails so: a
            timedelta, or seconds.
    """

    ids: str | Iterable[str]
    hold: Duration = 0


class Stop(Struct, frozen=True):
    """Delete the instance; `handle` and `apply` are not called (Commanded's `:stop`).

    Args:
        ids: as in `Start`.
        hold: how long it waits for the start when it comes early, before it is dropped: a
            timedelta, or seconds.
    """

    ids: str | Iterable[str]
    hold: Duration = 0


Answer = Start | StartNew | Continue | ContinueExisting | Stop | None | bool
"""All that `interested` may answer; None and False mean: not interested."""


class Route(StrEnum):
    """The answer's durable name."""

    START = "start"
    START_NEW = "start-new"
    CONTINUE = "continue"
    CONTINUE_EXISTING = "continue-existing"
    STOP = "stop"


class Action(StrEnum):
    """What a route does when its turn comes."""

    CREATE = "create"
    HANDLE = "handle"
    DELETE = "delete"
    NOTHING = "nothing"
    LATE = "late"
    """Ignore, and count as late."""
    FAIL = "fail"


_ABSENT, _RUNNING, _COMPLETED = Status.ABSENT, Status.RUNNING, Status.COMPLETED

ROUTES: dict[tuple[str, Status], tuple[Action, type[Exception] | None]] = {
    # (route, what it meets): (action, error that it fails with)
    (Route.START, _ABSENT): (Action.CREATE, None),
    (Route.START, _RUNNING): (Action.HANDLE, None),
    (Route.START, _COMPLETED): (Action.LATE, None),
    (Route.START_NEW, _ABSENT): (Action.CREATE, None),
    (Route.START_NEW, _RUNNING): (Action.FAIL, AlreadyStarted),
    (Route.START_NEW, _COMPLETED): (Action.FAIL, AlreadyCompleted),
    (Route.CONTINUE, _ABSENT): (Action.CREATE, None),
    (Route.CONTINUE, _RUNNING): (Action.HANDLE, None),
    (Route.CONTINUE, _COMPLETED): (Action.LATE, None),
    (Route.CONTINUE_EXISTING, _ABSENT): (Action.FAIL, NotStarted),
    (Route.CONTINUE_EXISTING, _RUNNING): (Action.HANDLE, None),
    (Route.CONTINUE_EXISTING, _COMPLETED): (Action.LATE, None),
    (Route.STOP, _ABSENT): (Action.NOTHING, None),
    (Route.STOP, _RUNNING): (Action.DELETE, None),
    (Route.STOP, _COMPLETED): (Action.NOTHING, None),
}

HOLDABLE = frozenset({Route.CONTINUE_EXISTING, Route.STOP})
"""Routes that may say `hold`: without an instance they wait so long before their cell counts."""

CREATING = frozenset(route for (route, _), (action, _) in ROUTES.items() if action is Action.CREATE)
"""Routes that create a missing instance; they pass an input that waits for one."""

_NAMES: dict[type, Route] = {
    Start: Route.START,
    StartNew: Route.START_NEW,
    Continue: Route.CONTINUE,
    ContinueExisting: Route.CONTINUE_EXISTING,
    Stop: Route.STOP,
}


def resolve(answer: object, fan_out_limit: int) -> tuple[Route, list[str], int] | None:
    """Turns what `interested` answered into a route, distinct process UUIDs in order, and a hold.

    Args:
        answer: what the author's code returned.
        fan_out_limit: how many process UUIDs one event may reach.

    Returns:
        None when the event is to be ignored; the hold is in milliseconds.

    Raises:
        InvalidRoute: the answer is none of `Answer`, an id is illegal, or there are too many.
    """
    if answer is None or answer is False:
        return None
    route = _NAMES.get(type(answer))
    if route is None:
        raise InvalidRoute(
            f"interested() answered {answer!r}; answer one of routing.Start, StartNew, Continue, "
            "ContinueExisting, Stop, or None"
        )
    ids = answer.ids  # type: ignore[attr-defined]
    hold = _hold(route, answer.hold) if route in HOLDABLE else 0  # type: ignore[attr-defined]
    if isinstance(ids, str):
        return route, [check_uuid(ids)], hold
    distinct = _distinct(route, ids, fan_out_limit)
    return (route, distinct, hold) if distinct else None


def check_uuid(uuid: object) -> str:
    """Answers `uuid` as a plain str; raises InvalidRoute unless it can name an instance.

    A process UUID is any non-empty text up to 255 bytes of UTF-8 without NUL.
    """
    if (
        type(uuid) is str
        and 0 < len(uuid) <= MAX_UUID_BYTES
        and uuid.isascii()
        and "\0" not in uuid
    ):
        return uuid  # as good as all of them
    if not isinstance(uuid, str):
        raise InvalidRoute(f"a process UUID must be text, not {uuid!r}")
    try:
        size = len(uuid) if uuid.isascii() else len(uuid.encode())
    except UnicodeEncodeError:
        raise InvalidRoute(f"process UUID {uuid!r} is not valid UTF-8") from None
    if not 0 < size <= MAX_UUID_BYTES or "\0" in uuid:
        raise InvalidRoute(
            f"process UUID {uuid[:80]!r} has {size} bytes; it needs 1 to {MAX_UUID_BYTES}, no NUL"
        )
    return str.__str__(uuid)  # an Enum's member, say, is a subclass


def _hold(route: Route, hold: object) -> int:
    try:
        return milliseconds(hold, "hold")
    except (TypeError, ValueError) as error:
        raise InvalidRoute(f"{route}: {error}") from None


def _distinct(route: Route, ids: object, fan_out_limit: int) -> list[str]:
    if not isinstance(ids, Iterable) or isinstance(ids, bytes):
        raise InvalidRoute(f"{route} needs a process UUID or a list of them, not {ids!r}")
    distinct: dict[str, None] = {}
    for uuid in ids:
        distinct[check_uuid(uuid)] = None
        if len(distinct) > fan_out_limit:
            raise InvalidRoute(f"{route} names more processes than fan_out_limit, {fan_out_limit}")
    # The order of a set is chance; an event's place in the inbox must not be.
    return sorted(distinct) if isinstance(ids, set | frozenset) else list(distinct)
