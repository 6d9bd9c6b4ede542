"""Where tests make one call fail, before or after it has done its work."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


class Injection:
    """A planned failure.

    Attributes:
        left: how often it will still happen; 0 takes it back.
        hits: how often it has happened.
    """

    def __init__(
        self, call: str, error: BaseException | None, who: str | None, left: int, *, after: bool
    ) -> None:
        self.call, self.error, self.who, self.after = call, error, who, after
        self.left = left
        self.hits = 0


class Hooks:
    """What is planned, and the passing of the brokers' time before each call."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self.tick = tick
        self.planned: list[Injection] = []

    def take(self, call: str, who: str) -> Injection | None:
        """Answers what is to happen to this call, and counts it."""
        for each in self.planned:
            if each.left > 0 and each.call == call and each.who in (None, who):
                each.left -= 1
                each.hits += 1
                self.planned = [other for other in self.planned if other.left > 0]
                return each
        return None


class Hooked(Protocol):
    """A client whose calls may be made to fail."""

    who: str
    hooks: Hooks

    def injected(self, call: str, error: BaseException | None) -> None:
        """Takes the state that a client is in after this answer."""


S = TypeVar("S", bound=Hooked)


def hooked(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Makes a call of the port subject to `MemoryLog.inject`."""
    name = method.__name__

    @wraps(method)
    def call(self: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        hooks = self.hooks
        hooks.tick()
        if not hooks.planned:
            return method(self, *args, **kwargs)
        hit = hooks.take(name, self.who)
        if hit is None:
            return method(self, *args, **kwargs)
        if hit.after:
            method(self, *args, **kwargs)
        self.injected(name, hit.error)
        if hit.error is not None:
            raise hit.error
        return cast("T", None)

    return call
