"""How long a SIGKILL of an instances worker stops its partitions: from it to their next commands.

    python -m bench.recovery --kills 5

A thin front to `pmstream dev chaos --kills-only`, which measures three ways (another worker takes
over; the same one is started again; it dies within its transaction) under load, and then verifies
from the topics that nothing was lost or doubled. The last line is JSON; the exit code is 1 when a
series exceeds its limit, the session's timeout and a second, or anything is wrong.
"""

import argparse

from bench.gates import conclude
from bench.stage import say
from pmstream.chaos.recovery import measure
from pmstream.chaos.stage import Plan
from pmstream.cli.loading import connect
from pmstream.errors import PmstreamError


def main() -> None:
    """Measures, prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=5, help="of each kind")
    parser.add_argument("--workers", type=int, default=3, help="instances workers, 1 to 6")
    parser.add_argument("--brokers", type=int, default=1, choices=[1, 3])
    parser.add_argument("--rate", type=int, default=250, help="events a second")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    plan = Plan(0, given.seed, given.workers, given.brokers, given.rate)
    try:
        found = measure(plan, given.kills, connect, say, keep=False)
    except PmstreamError as error:
        raise SystemExit(str(error)) from error
    conclude(found, found.pop("wrong", []), [])


if __name__ == "__main__":
    main()
