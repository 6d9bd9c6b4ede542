"""Whatever is installed anywhere is pinned and hashed, and may be used as we use it."""

import re
from importlib import metadata
from pathlib import Path

import pytest

from pmstream.devkafka import jars
from tests.supply.audit import LOCKS
from tests.supply.sbom import LOCK

PIN = re.compile(r"([A-Za-z0-9][\w.-]*)(\[[\w,-]+\])?==[^\s;]+( ; .+)?$")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}$")

ALLOWED = frozenset(
    {
        "0BSD",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "ISC",
        "MIT",
        "MPL-2.0",  # certifi: a list of authorities, which we do not change
        "PSF-2.0",
    }
)
"""Licences of what the image carries (SPDX)."""

SPDX = {
    # as older packages say it
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}


def requirements(lock: Path) -> list[list[str]]:
    """Each requirement: its pin, then its hashes."""
    joined = lock.read_text().replace("\\\n", "\n")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    found: list[list[str]] = []
    for line in lines:
        if line.startswith(" "):
            found[-1].append(line.strip())
        else:
            found.append([line.strip()])
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_is_pinned_and_hashed(lock: Path) -> None:
    found = requirements(lock)

    loose = [pin for pin, *hashes in found if not (PIN.match(pin) and hashes)]
    odd = [each for _, *hashes in found for each in hashes if not HASH.match(each)]
    assert found
    assert (loose, odd) == ([], [])


def test_every_jar_is_pinned_and_hashed() -> None:
    for jar in jars.wanted():
        assert re.fullmatch(r"[\w.-]+:[\w.-]+:[\w.-]+", jar.coordinate)
        assert re.fullmatch(r"[0-9a-f]{64}", jar.sha256)


def test_the_image_has_what_was_tested() -> None:
    """Its lock holds no other version than that of development."""
    tested = {pin.split(" ")[0] for pin, *_ in requirements(LOCK.with_name("dev.lock"))}

    assert {pin.split(" ")[0] for pin, *_ in requirements(LOCK)} <= tested


@pytest.mark.parametrize("name", [pin.split("==")[0] for pin, *_ in requirements(LOCK)])
def test_a_licence_is_one_that_we_may_use(name: str) -> None:
    try:
        about = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        pytest.skip("not for this machine")
    (told,) = about.get_all("License-Expression") or [""]
    classified = [
        each.rsplit(" :: ", 1)[-1]
        for each in about.get_all("Classifier") or []
        if each.startswith("License :: ")
    ]
    licences = re.split(r" AND | OR ", told) if told else classified or [about["License"]]

    assert {SPDX.get(each, each) for each in licences} <= ALLOWED
