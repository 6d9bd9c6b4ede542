"""Lets `python -m pmstream` stand for the `pmstream` command."""

from pmstream.cli import main

if __name__ == "__main__":
    main()
