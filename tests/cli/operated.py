"""An app whose workers run in memory while the command line waits: a sleep lets them turn."""

from collections.abc import Callable

from pmstream import App
from pmstream.config import Settings
from pmstream.runtime.clock import VirtualClock
from tests.runtime.clocked import make_app

PM = "counter"
CODE = "tests.cli.operated:app"
NAME = "world"

app = make_app()
direct = make_app(keyed="world.events")
confirmed = make_app(dispatch="confirm")


def named(settings: Settings) -> App:
    """An app that is named by PMSTREAM_APP__name."""
    return make_app(settings.app["name"], completed_for=36_000)


class WorkedClock(VirtualClock):
    """Whoever sleeps gives the workers a turn, but for the workers themselves.

    Attributes:
        work: one turn of all of them; None: none runs.
    """

    def __init__(self) -> None:
        super().__init__()
        self.work: Callable[[], None] | None = None
        self._busy = False

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        if self.work is not None and not self._busy:
            self._busy = True
            try:
                self.work()
            finally:
                self._busy = False
