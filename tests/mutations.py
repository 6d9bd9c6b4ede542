"""Plants each protocol bug in a copy of the tree, and shows that the suites catch it.

    just mutations                         all of them, the cheapest suite that catches each
    just mutations "2 " hints              those whose name contains one of these
    just mutations --suite simulation      with this suite alone
    just mutations --jobs 2                two at a time

Rule: the checkout is never touched. Exits 1 if a bug survives, or the tree itself is not green.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from tests.mutants import MUTATIONS
from tests.mutants.mutation import Edit, Mutation

ROOT = Path(__file__).parent.parent

ELSEWHERE = (
    "faults/test_complete.py",
    "runtime/memory",
    "runtime/test_agreement.py",
    "runtime/test_avro.py",
    "runtime/test_codec.py",
    "runtime/test_codec_commands.py",
    "runtime/test_supervisor.py",
)
"""Tests of other things than the protocol."""

SUITES: dict[str, tuple[str, ...]] = {
    # cheap to dear; each is asked only if those before it found nothing
    "protocol": ("tests/runtime/test_protocol.py",),
    "memory": (
        *("tests/faults", "tests/runtime", "-m", "not kafka"),
        *(f"--deselect=tests/{each}" for each in ELSEWHERE),
    ),
    "simulation": ("tests/simulation",),
}

COPIED = ("avro/", "pmstream/", "tests/", "hatch_build.py", "pyproject.toml")
"""What the suites need; the compiled codec's tests compile it."""

SCHEDULES = "300"
SUITE_SECONDS = 600.0
"""A suite that takes longer hangs: that is caught, too."""

PROFILE = 'settings.load_profile("ci" if os.environ.get("CI") else "dev")'
NO_SHRINKING = Mutation(
    "no shrinking",
    "which schedule or example fails is enough here; made in every copy",
    (
        Edit("tests/simulation/schedule.py", "tries: int = 400", "tries: int = 0"),
        Edit(
            "tests/conftest.py",
            PROFILE,
            'settings.register_profile("once", settings.get_profile("dev"), '
            "phases=list(Phase)[:3])\n"
            'settings.load_profile("once")',
        ),
        Edit(
            "tests/conftest.py",
            "import HealthCheck, settings",
            "import HealthCheck, Phase, settings",
        ),
    ),
)

_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
_GREEN, _RED = 0, 1


class Verdict(Struct, frozen=True):
    """What the suites say of one tree.

    Attributes:
        suite: that found something; "" if none did.
        test: its first failing test.
        seconds: until then.
        text: the end of its output.
    """

    suite: str
    test: str
    seconds: float
    text: str = ""


def mutated(mutation: Mutation, root: Path) -> dict[str, str]:
    """The changed files of a mutation.

    Raises:
        LookupError: a text to replace is not there exactly once.
    """
    texts: dict[str, str] = {}
    for edit in mutation.edits:
        text = texts.get(edit.file) or (root / edit.file).read_text()
        if (found := text.count(edit.old)) != 1:
            raise LookupError(f"{mutation.name}: {found} times in {edit.file}: {edit.old!r}")
        texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


def copy_tree(target: Path) -> None:
    """Copies of what git knows what the suites need, as it stands; no byte code, no drafts."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    for name in listed.stdout.decode().split("\0"):
        if name.startswith(COPIED):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name, follow_symlinks=False)
    for file, text in mutated(NO_SHRINKING, target).items():
        (target / file).write_text(text)


def judge(mutation: Mutation, suites: Iterable[str]) -> Verdict:
    """Plants a mutation in a copy of its own, and runs suites until one fails."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pmstream-mutation-") as folder:
        root = Path(folder)
        copy_tree(root)
        for file, text in mutated(mutation, root).items():
            (root / file).write_text(text)
        for suite in suites:
            code, text = run(suite, root)
            seconds = time.monotonic() - began
            if code is None:
                return Verdict(suite, "hangs", seconds, text)
            if code not in (_GREEN, _RED):
                raise RuntimeError(f"{mutation.name}: pytest ends with {code}\n{text}")
            if code == _RED:
                failed = _FAILED.search(text)
                return Verdict(suite, failed[1] if failed else "?", seconds, text)
    return Verdict("", "", time.monotonic() - began)


def run(suite: str, root: Path) -> tuple[int | None, str]:
    """Runs a suite in a copy until its first failure; its exit code, None if it hangs."""
    settings = {
        "PMSTREAM_TEST_SCHEDULES": os.environ.get("PMSTREAM_TEST_SCHEDULES", SCHEDULES),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(root),
        "PYTEST_ADDOPTS": "",
    }
    options = "-x -q -p no:randomly -p no:cacheprovider --timeout=120 --hypothesis-seed=0"
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options.split(), *SUITES[suite]],
            cwd=root,
            env={**os.environ, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SUITE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout[-3_000:]


def say(text: str) -> None:
    """A line for the reader, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="just mutations", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parts of names; all without")
    parser.add_argument("--suite", action="append", choices=list(SUITES), help="this one only")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time")
    parser.add_argument("--verbose", action="store_true", help="show how each was caught")
    return parser.parse_args()


def main() -> int:
    """Checks that the tree is green, then plants one bug after another."""
    asked = arguments()
    suites = asked.suite or list(SUITES)
    chosen = [
        each
        for each in MUTATIONS
        if not asked.names or any(name in each.name for name in asked.names)
    ]
    green = judge(Mutation("none", "", ()), suites)
    if green.suite:
        say(f"the tree itself fails: {green.test}\n{green.text}")
        return 1
    say(f"{'no mutation: all green':42} {green.seconds:6.1f} s")
    survivors = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for each, verdict in zip(chosen, pool.map(lambda m: judge(m, suites), chosen), strict=True):
            caught = verdict.test or f"SURVIVES ({each.why})"
            say(f"{each.name:42} {verdict.seconds:6.1f} s  {caught}")
            survivors += not verdict.suite
            if asked.verbose:
                say(verdict.text)
    say(f"{len(chosen) - survivors} of {len(chosen)} caught")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
