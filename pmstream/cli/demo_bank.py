"""The bank as a process of its own: `python -m pmstream.cli.demo_bank`, settings by environment.

It ends when told to (SIGTERM), or when the standard input that its parent holds is closed.
"""

import signal
import sys
from types import FrameType

from pmstream.cli.loading import connect
from pmstream.cli.tracing import tracing
from pmstream.config import Settings
from pmstream.examples.bank import Bank
from pmstream.examples.careful_transfer import app
from pmstream.runtime.clock import SystemClock
from pmstream.runtime.codec import Codec
from pmstream.runtime.received import Received
from pmstream.runtime.report import Reporter, end_with_parent

SERVICE = "bank-accounts"
"""What collectors call it."""


def main() -> None:
    """Serves until told to stop."""
    stopping = False

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        nonlocal stopping
        stopping = True

    settings = Settings.load()
    signal.signal(signal.SIGTERM, stop)
    end_with_parent(stop, settings.shutdown_timeout_s)
    codec, reporter = Codec(app), Reporter()  # knows all that the other transfer says, too
    with tracing(settings, SERVICE, lambda text: print(text, file=sys.stderr)) as trail:
        bank = Bank(
            connect(settings),
            SystemClock(),
            codec.decode,
            codec.encode_event,
            None if trail is None else Received(trail),
        )
        bank.run(lambda: reporter.beat() or stopping)


if __name__ == "__main__":
    main()
