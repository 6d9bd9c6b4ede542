"""What `interested` may answer, and what each answer means to an instance.

Rule: a route is looked up in ROUTES when the input's turn comes, not when it arrives.
"""

from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct

from pmstream.errors import AlreadyStarted, InvalidRoute, NotStarted

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
    """Go on with the instance; fail with `NotStarted` when there is none (`:continue!`)."""

    ids: str | Iterable[str]


class Stop(Struct, frozen=True):
    """Delete the instance; `handle` and `apply` are not called (Commanded's `:stop`)."""

    ids: str | Iterable[str]


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
    FAIL = "fail"


ROUTES: dict[tuple[str, bool], tuple[Action, type[Exception] | None]] = {
    # (route, an instance exists): (action, error that it fails with)
    (Route.START, False): (Action.CREATE, None),
    (Route.START, True): (Action.HANDLE, None),
    (Route.START_NEW, False): (Action.CREATE, None),
    (Route.START_NEW, True): (Action.FAIL, AlreadyStarted),
    (Route.CONTINUE, False): (Action.CREATE, None),
    (Route.CONTINUE, True): (Action.HANDLE, None),
    (Route.CONTINUE_EXISTING, False): (Action.FAIL, NotStarted),
    (Route.CONTINUE_EXISTING, True): (Action.HANDLE, None),
    (Route.STOP, False): (Action.NOTHING, None),
    (Route.STOP, True): (Action.DELETE, None),
}

CREATING = frozenset(
    route for (route, exists), (action, _) in ROUTES.items() if action is Action.CREATE
)
"""Routes that create a missing instance; they pass an input that waits for `NotStarted`."""

_NAMES: dict[type, Route] = {
    Start: Route.START,
    StartNew: Route.START_NEW,
    Continue: Route.CONTINUE,
    ContinueExisting: Route.CONTINUE_EXISTING,
    Stop: Route.STOP,
}


def resolve(answer: object, fan_out_limit: int) -> tuple[Route, list[str]] | None:
    """Turns what `interested` answered into a route and distinct process UUIDs, in order.

    Args:
        answer: what the author's code returned.
        fan_out_limit: how many process UUIDs one event may reach.

    Returns:
        None when the event is to be ignored.

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
    if isinstance(ids, str):
        return route, [check_uuid(ids)]
    distinct = _distinct(route, ids, fan_out_limit)
    return (route, distinct) if distinct else None


def check_uuid(uuid: object) -> str:
    """Answers `uuid` as a plain str; raises InvalidRoute unless it can name an instance.

    A process UUID is any non-empty text up to 255 bytes of UTF-8 without NUL.
    """
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
