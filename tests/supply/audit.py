"""Asks the registry of our packages which of them are known to be weak, by pip-audit.

Rule: what could not be asked is never told as "nothing known": pip-audit itself skips a package
that its registry does not tell of, and ends well.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

from tests.deployment.tools import ROOT, python_tools, run

LOCKS = sorted((ROOT / "requirements").glob("*.lock"))
TOOLS = ROOT / "requirements" / "supply.lock"

DONE, WEAK, OUT_OF_REACH = 0, 1, 69


def audited(locks: Sequence[Path]) -> tuple[int, list[str]]:
    """The exit code, and a line for each thing found."""
    code, told = DONE, []
    for lock in locks:
        found, lines = judged(lock.name, _asked(lock))
        told += lines
        code = WEAK if WEAK in (code, found) else max(code, found)
    return code, told


def _asked(lock: Path) -> CompletedProcess[str]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes"]
    command += ["--disable-pip", "--vulnerability-service", "pypi", "--format", "json"]
    command += ["--progress-spinner", "off", "--timeout", "15"]
    return run(command, environment={"PYTHONPATH": str(python_tools(TOOLS))})


def judged(name: str, done: CompletedProcess[str]) -> tuple[int, list[str]]:
    """What pip-audit's answer means.

    Args:
        name: of the lock.
        done: pip-audit's run, its output in JSON.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return OUT_OF_REACH, [f"{name}: nothing could be asked: {last[:300]}"]
    weak = [each for each in packages if each.get("vulns")]
    if weak:
        return WEAK, [_said(name, each) for each in weak]
    untold = [each["name"] for each in packages if "skip_reason" in each]
    if untold or not packages:
        names = ", ".join(untold[:5]) + (", ..." if len(untold) > 5 else "")
        told = (
            f"{name}: the registry in use here does not tell what is known of {len(untold)} of "
            f"{len(packages)} packages ({names}): ask where the registry itself can be reached"
        )
        return OUT_OF_REACH, [told]
    return DONE, [f"{name}: nothing is known against its {len(packages)} packages"]


def _said(name: str, package: dict[str, Any]) -> str:
    ids = ", ".join(
        f"{each['id']} (mended in {', '.join(each.get('fix_versions') or ['no release yet'])})"
        for each in package["vulns"]
    )
    return f"{name}: {package['name']} {package['version']}: {ids}; `just lock --upgrade`"
