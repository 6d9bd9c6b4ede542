"""The command line: one file a noun; `root` puts them together."""

import sys


def main() -> None:
    """Runs the command line of this process.

    A worker's process imports no other command: that was a third of its start.
    """
    if sys.argv[1:2] == ["worker"]:
        from pmstream.cli.work import alone

        alone()
    from pmstream.cli.root import root

    root()
