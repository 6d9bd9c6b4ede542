"""Runs all checks, one after the other; whatever one of them raises is a finding, too."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from msgspec import Struct, structs

from pmstream.errors import PmstreamError
from pmstream.operate.doctor import (
    brokers,
    groups,
    layout,
    machine,
    permissions,
    replicas,
    scratch,
    spans,
    state,
)
from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.finding import APP, Finding, Severity, failure, skipped
from pmstream.runtime.log_errors import Refused, Unavailable
from pmstream.runtime.survey import ClusterFacts

FINE = "fine"
"""The code of a check that found nothing."""

MOST_PLACES = 6
"""So many places are named in one finding."""

UNREACHABLE = failure(
    "unreachable",
    "No broker answers: nothing of the cluster could be looked at.",
    "see whether Kafka runs, and whether PMSTREAM_BOOTSTRAP_SERVERS and the security settings "
    "(PMSTREAM_KAFKA__security__protocol, ...) are right",
)
REFUSED = skipped(
    "check-refused",
    "The cluster refused what a check had to ask.",
    "allow it, or run doctor once as an administrator",
)
CHECK_FAILED = failure(
    "check-failed",
    "A check itself failed.",
    "if the sentence does not say why, report it",
)


class Check(Struct, frozen=True):
    """One check.

    Attributes:
        name: what it looks at.
        look: finds.
        fine: what is so when it finds nothing.
    """

    name: str
    look: Callable[[Case, ClusterFacts], Iterator[Finding]]
    fine: str


class LocalCheck(Struct, frozen=True):
    """One check that needs no cluster; the fields are as of `Check`."""

    name: str
    look: Callable[[Case], Iterator[Finding]]
    fine: str


LOCAL = (
    LocalCheck("versions", machine.libraries, "what pmstream needs is installed"),
    LocalCheck("schemas", machine.schemas_agree, "types and schemas agree"),
    LocalCheck("state directory", state.usable, "it can be written and locked"),
    LocalCheck("workers here", state.owners, "each has its directory to itself"),
    LocalCheck("disk space", state.space, "there is enough"),
    LocalCheck("tracing", spans.can_be_sent, "spans can be sent, or are not wanted"),
    LocalCheck("bootstrap servers", brokers.bootstrap, "each of them answers"),
)
CLUSTER = (
    Check("open files", machine.open_files, "the limit does for all partitions"),
    Check("brokers", brokers.answer, "each of them answers"),
    Check("requests", brokers.requests, "brokers know what exactly once needs"),
    Check("broker settings", brokers.settings, "they suit ours"),
    Check("topics", layout.as_wanted, "all there, and as they should be"),
    Check("positions", layout.started, "each process manager knows where it starts"),
    Check("sources", layout.sources, "they keep events until they are read"),
    Check("sizes", layout.sizes, "what may be written is taken"),
    Check("left-overs", layout.left_over, "no doctor left anything"),
    Check("internal topics", replicas.to_come, "they are there, or Kafka can make them"),
    Check("copies", replicas.copies, "each partition has its leader and its copies"),
    Check("groups", groups.members, "they can be joined"),
    Check("topic permissions", permissions.topics, "workers may do what they have to"),
    Check("group permissions", permissions.groups, "workers may join"),
    Check("round trip", scratch.round_trip, "a transaction is written and read back"),
    Check("transactional ids", permissions.transactional_ids, "workers may use theirs"),
)


def examine(case: Case) -> Iterator[Finding]:
    """All findings, check by check, as they are found; a check that finds nothing says so.

    The same finding at several places is one.
    """
    for local in LOCAL:
        yield from _findings(case, local.name, partial(local.look, case), local.fine)
    try:
        facts = case.survey.cluster()
    except Unavailable as error:
        yield _addressed(UNREACHABLE.found("", str(error)), "brokers", case)
        return
    except PmstreamError as error:
        yield _addressed(CHECK_FAILED.found("", str(error)), "brokers", case)
        return
    for check in CLUSTER:
        yield from _findings(case, check.name, partial(check.look, case, facts), check.fine)


def _findings(
    case: Case, name: str, look: Callable[[], Iterable[Finding]], fine: str
) -> Iterator[Finding]:
    found: list[Finding] = []
    try:
        found.extend(look())
    except Refused as error:
        found.append(REFUSED.found("", str(error)))
    except Exception as error:  # noqa: BLE001 - the other checks still have something to say
        text = str(error) if isinstance(error, PmstreamError) else repr(error)
        found.append(CHECK_FAILED.found("", text))
    if all(each.severity is Severity.OK for each in found):
        yield Finding(name, FINE, Severity.OK, "", fine)
    for each in merged(found):
        yield _addressed(each, name, case)


def merged(found: Iterable[Finding]) -> list[Finding]:
    """The same with one finding for all places that have it."""
    places: dict[tuple[str, str], list[Finding]] = {}
    for each in found:
        places.setdefault((each.code, each.what), []).append(each)
    return [structs.replace(same[0], where=_listed(same)) for same in places.values()]


def _listed(same: list[Finding]) -> str:
    where = list(dict.fromkeys(each.where for each in same if each.where))
    more = len(where) - MOST_PLACES
    return ", ".join(where[:MOST_PLACES]) + (f" and {more} more" if more > 0 else "")


def _addressed(finding: Finding, check: str, case: Case) -> Finding:
    remedy = re.sub(rf"\b{APP}\b", case.name, finding.remedy)
    return structs.replace(finding, check=check, remedy=remedy)
