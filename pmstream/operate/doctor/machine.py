"""This machine: Python and libraries, open files, the app's schemas."""

import platform
import re
import resource
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from pmstream.operate import schemas
from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import Finding, failure, note, skipped, warning
from pmstream.runtime.compiled import IS_COMPILED
from pmstream.runtime.survey import ClusterFacts

FILES_OF_A_PROCESS, FILES_OF_A_STORE, FILES_OF_A_FULL_STORE = 128, 16, 128
"""What a worker has open beside its stores; in a small store; in one as full as it may be."""

VERSIONS = note("versions", "What is installed here.")
UNPACKAGED = skipped(
    "not-installed",
    "pmstream runs from a folder, so what it requires cannot be compared with what is installed.",
    "install it (`pip install pmstream`), if this is more than a checkout",
)
OTHER_VERSION = warning(
    "other-version",
    "A library is installed in a version that pmstream was not made for.",
    "install what pmstream asks for: `pip install --upgrade pmstream` brings it",
)
OTHER_LIBRDKAFKA = warning(
    "other-librdkafka",
    "confluent-kafka runs on a librdkafka of another version than it was made for; pmstream relies "
    "on details of that version.",
    "install the wheel of confluent-kafka, which brings its own: "
    "`pip install --force-reinstall --only-binary :all: confluent-kafka`",
)
FEW_FILES = failure(
    "few-open-files",
    "A worker that gets all partitions, as the last one alive does, could not open their stores.",
    "raise the limit: `ulimit -n 65536`, LimitNOFILE= of a systemd unit, or nofile of a container",
)
TIGHT_FILES = note(
    "open-files",
    "Enough for small stores; one that keeps many instances opens up to 128 files for each "
    "partition. Raise it in production (`ulimit -n 65536`).",
)
SCHEMA_FAULT = failure(
    "schema-fault",
    "Types and schemas do not agree: messages cannot be read or written.",
    "`pmstream schemas check APP` shows all of them; correct the type or its .avsc",
)

_REQUIREMENT = re.compile(r"([\w.-]+)((?:[<>=!~]=?[\d.]+,?)+)$")
_BOUND = re.compile(r"(>=|<)([\d.]+)")


def libraries(case: Case) -> Iterator[Finding]:
    """What is installed, against what pmstream asks for."""
    client, engine = version("confluent-kafka"), case.survey.library()
    python = platform.python_version()
    yield VERSIONS.found(
        "",
        f"Python {python}, librdkafka {engine}, confluent-kafka {client}, "
        f"rocksdict {version('rocksdict')}, codec {'compiled' if IS_COMPILED else 'in Python'}",
    )
    if client.split(".")[:2] != engine.split(".")[:2]:
        yield OTHER_LIBRDKAFKA.found(
            "confluent-kafka", f"version {client} runs on librdkafka {engine}"
        )
    try:
        required = requires("pmstream") or []
    except PackageNotFoundError:
        yield UNPACKAGED.found("pmstream", "is not installed as a package")
        return
    for each in required:
        name, wanted = _split(each)
        if name and not fits(found := version(name), wanted):
            yield OTHER_VERSION.found(name, f"{found} is installed, pmstream needs {wanted}")


def _split(requirement: str) -> tuple[str, str]:
    """Name and bounds; of an optional one none."""
    found = _REQUIREMENT.match(requirement.replace(" ", ""))
    return (found[1], found[2]) if found else ("", "")


def fits(found: str, wanted: str) -> bool:
    """Whether a version is within bounds like `>=2.16,<3`."""
    have = _numbers(found)
    return all(
        have >= _numbers(bound) if sign == ">=" else have < _numbers(bound)
        for sign, bound in _BOUND.findall(wanted)
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in re.findall(r"\d+", text)[:3])


def open_files(case: Case, _facts: ClusterFacts) -> Iterator[Finding]:
    """The limit, against the partitions that one worker may come to own."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    existing = case.log.topics()
    for names in case.names():
        input = existing.get(case.input(names))
        count = input.partitions if input else case.settings.inbox_partitions
        yield from judge_files(limit, count, names.process_manager)


def judge_files(limit: int, partitions: int, where: str) -> Iterator[Finding]:
    """Whether so many open files do for the stores of so many partitions."""
    if limit == resource.RLIM_INFINITY:
        return
    least = FILES_OF_A_PROCESS + FILES_OF_A_STORE * partitions
    enough = FILES_OF_A_PROCESS + FILES_OF_A_FULL_STORE * partitions
    if limit < least:
        yield FEW_FILES.found(
            where, f"{limit} files may be open, {partitions} partitions need {least} at least"
        )
    elif limit < enough:
        yield TIGHT_FILES.found(
            where, f"{limit} files may be open, {partitions} full partitions would need {enough}"
        )


def schemas_agree(case: Case) -> Iterator[Finding]:
    """Types against schemas."""
    for fault in schemas.check(case.app):
        yield SCHEMA_FAULT.found("", fault)
