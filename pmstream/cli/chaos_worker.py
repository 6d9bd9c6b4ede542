"""A worker that can be told to die within a commit: `python -m pmstream.cli.chaos_worker APP ...`.

After SIGUSR2 it kills itself at the next step of the given name. Nothing from outside could hit
that: a transaction is open for milliseconds. The bank is such a worker, too.
"""

import os
import signal
import sys
from contextlib import nullcontext
from types import FrameType

import typer

from pmstream.chaos.bank import make_bank
from pmstream.chaos.fleet import BANK
from pmstream.cli import logs
from pmstream.cli.work import attend, serve
from pmstream.config import Settings
from pmstream.runtime.commit import STEPS

ANY = "any"


class Fuse:
    """A probe that kills its process once it is lit.

    Args:
        step: of a commit; ANY is another one in each process.
    """

    def __init__(self, step: str) -> None:
        self._step = STEPS[os.getpid() % len(STEPS)] if step == ANY else step
        self._lit = False

    def light(self, _signal: int, _frame: FrameType | None) -> None:
        """The next time it is at the step, it dies."""
        self._lit = True

    def __call__(self, step: str) -> None:
        """Dies, if it is to."""
        if self._lit and step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


def main(app: str, process_manager: str, role: str, name: str, step: str) -> None:
    """Runs the worker."""
    fuse = Fuse(step)
    signal.signal(signal.SIGUSR2, fuse.light)
    try:
        if role == BANK:
            settings = Settings.load()
            attend(
                lambda log, clock: make_bank(name, log, settings, clock, logs.told, fuse),
                settings,
                nullcontext(),
                app=app,
                role=role,
                worker=name,
            )
        else:
            serve(app, process_manager, role, name, fuse)
    except typer.Exit as ended:
        sys.exit(ended.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
