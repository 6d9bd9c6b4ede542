"""The brokers: each of them answers, knows the requests we need, and its settings suit ours."""

from collections.abc import Iterator, Mapping

from pmstream.config import Settings
from pmstream.operate.doctor.case import Case
from pmstream.operate.doctor.dial import refusal
from pmstream.operate.doctor.finding import Finding, failure, note, skipped, warning
from pmstream.runtime.survey import BrokerFacts, ClusterFacts

BOOTSTRAP = warning(
    "bootstrap-silent",
    "An address in bootstrap_servers is not reached; with the others gone, nothing starts.",
    "correct PMSTREAM_BOOTSTRAP_SERVERS, or bring that broker back",
)
SILENT = failure(
    "broker-silent",
    "The cluster names a broker that does not answer from here: partitions that it leads stand.",
    "see whether it runs; if it does, its advertised.listeners must name an address that is "
    "reached from this machine",
)
BROKERS = note("brokers", "Which brokers there are.")
ALONE = note(
    "few-brokers",
    "With fewer than three brokers nothing can be kept three times. That is fine on a laptop.",
)
OLD_API = failure(
    "kafka-too-old",
    "A broker does not know a request that exactly once needs.",
    "use Kafka 2.8 or newer (proven with 4.3)",
)
NO_APIS = skipped(
    "apis-unknown",
    "Which requests a broker knows was not told.",
    "run it again with PMSTREAM_KAFKA__api__version__request unset",
)
GROUP_PROTOCOL = failure(
    "group-protocol-off",
    'group_protocol is "consumer", which the brokers do not offer.',
    "set PMSTREAM_GROUP_PROTOCOL=classic, or let the brokers offer it "
    "(group.coordinator.rebalance.protocols; Kafka 4.0 or newer)",
)
NO_CONFIG = skipped(
    "broker-settings-hidden",
    "We may not read the brokers' settings, so they were not compared with ours.",
    "run doctor once as an administrator, or allow DescribeConfigs on the cluster",
)
TRANSACTION_TIMEOUT = failure(
    "transaction-timeout-refused",
    "Brokers refuse producers whose transactions may last that long.",
    "lower PMSTREAM_TRANSACTION_TIMEOUT_MS, or raise transaction.max.timeout.ms",
)
SESSION = failure(
    "session-timeout-refused",
    "Brokers refuse members with such a session timeout.",
    "set PMSTREAM_SESSION_TIMEOUT_MS within group.min.session.timeout.ms and "
    "group.max.session.timeout.ms",
)
OFFSETS = warning(
    "offsets-expire-soon",
    "Positions of a process manager that stands still so long are forgotten, and it will not "
    "start again before an operator decides where.",
    "raise offsets.retention.minutes to 10080 (7 days, Kafka's default) or more",
)
AUTO_CREATE = warning(
    "auto-create-topics",
    "A misspelt topic, or a service that comes first, makes a topic of the wrong partition count.",
    "set auto.create.topics.enable=false on the brokers",
)
NO_CLEANER = failure(
    "no-log-cleaner",
    "Nothing compacts changelogs: they grow for ever, and so does each restore.",
    "remove log.cleaner.enable=false from the brokers' settings",
)
UNVERIFIED = warning(
    "transactions-unverified",
    "A late write can hang a transaction for good, and what stands behind it is never read.",
    "use Kafka 3.6 or newer and leave transaction.partition.verification.enable at true",
)

_NEEDED = {
    3: (10, "Metadata with topic ids"),
    9: (7, "OffsetFetch of stable positions"),
    11: (5, "JoinGroup with static members"),
    22: (3, "InitProducerId that bumps epochs"),
    28: (3, "TxnOffsetCommit with the group's generation"),
}
"""Request number to the version we need of it, and what for."""

_ADD_PARTITIONS, _VERIFIES_SINCE = 24, 4
_WEEK_MINUTES = 7 * 24 * 60


def bootstrap(case: Case) -> Iterator[Finding]:
    """Each address of the settings."""
    for address in filter(None, map(str.strip, case.settings.bootstrap_servers.split(","))):
        why = _dial(address)
        if why:
            yield BOOTSTRAP.found(address, why)


def _dial(address: str) -> str:
    """Why nobody answers there; "" if somebody does."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not host:
        host, port = port, "9092"  # what librdkafka takes a name without a port for
    return refusal(host.strip("[]"), port)


def answer(_case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """Each broker by its name."""
    for broker in facts.brokers:
        if broker.fault:
            yield SILENT.found(f"broker {broker.id} at {broker.address}", broker.fault)
    names = ", ".join(f"{broker.id} at {broker.address}" for broker in facts.brokers)
    count = len(facts.brokers)
    yield BROKERS.found("", f"{count} {'broker' if count == 1 else 'brokers'}: {names}")
    if count < 3:
        copies = "one copy of everything" if count == 1 else "two copies of everything at most"
        yield ALONE.found("", f"{copies}: fine on a laptop, too few for production")


def requests(case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """What the protocol needs of them."""
    needed = dict(_NEEDED)
    if case.settings.group_protocol == "consumer":
        needed[68] = (0, "ConsumerGroupHeartbeat")
    for broker in _answering(facts):
        if not broker.apis:
            yield NO_APIS.found(_name(broker), "did not tell which requests it knows")
            continue
        for number, (least, what) in needed.items():
            if broker.apis.get(number, -1) < least:
                yield OLD_API.found(_name(broker), f"does not know {what}")
        config = broker.config or {}
        off = config.get("transaction.partition.verification.enable") == "false"
        if off or broker.apis.get(_ADD_PARTITIONS, 0) < _VERIFIES_SINCE:
            yield UNVERIFIED.found(
                _name(broker), "does not verify that a transaction's write belongs to it"
            )


def settings(case: Case, facts: ClusterFacts) -> Iterator[Finding]:
    """The brokers' settings against ours."""
    for broker in _answering(facts):
        if broker.config is None:
            yield NO_CONFIG.found(_name(broker), "does not show us its settings")
            continue
        yield from _bounds(_name(broker), broker.config, case.settings)
        yield from _habits(_name(broker), broker.config, case.settings)


def _bounds(name: str, config: Mapping[str, str], ours: Settings) -> Iterator[Finding]:
    longest = _number(config, "transaction.max.timeout.ms")
    if longest is not None and ours.transaction_timeout_ms > longest:
        yield TRANSACTION_TIMEOUT.found(
            name,
            f"transaction.max.timeout.ms is {longest}, our transaction_timeout_ms is "
            f"{ours.transaction_timeout_ms}",
        )
    if ours.group_protocol == "consumer":
        return
    for setting, is_wrong in (
        ("group.min.session.timeout.ms", int.__lt__),
        ("group.max.session.timeout.ms", int.__gt__),
    ):
        bound = _number(config, setting)
        if bound is not None and is_wrong(ours.session_timeout_ms, bound):
            yield SESSION.found(
                name, f"{setting} is {bound}, our session_timeout_ms is {ours.session_timeout_ms}"
            )


def _habits(name: str, config: Mapping[str, str], ours: Settings) -> Iterator[Finding]:
    protocols = config.get("group.coordinator.rebalance.protocols")
    if ours.group_protocol == "consumer" and protocols and "consumer" not in protocols:
        yield GROUP_PROTOCOL.found(name, f"offers {protocols} only")
    minutes = _number(config, "offsets.retention.minutes")
    if minutes is not None and minutes < _WEEK_MINUTES:
        yield OFFSETS.found(name, f"offsets.retention.minutes is {minutes}")
    if config.get("auto.create.topics.enable") == "true":
        yield AUTO_CREATE.found(name, "auto.create.topics.enable is true")
    if config.get("log.cleaner.enable") == "false":
        yield NO_CLEANER.found(name, "log.cleaner.enable is false")


def _number(config: Mapping[str, str], setting: str) -> int | None:
    value = config.get(setting, "")
    return int(value) if value.lstrip("-").isdigit() else None


def _answering(facts: ClusterFacts) -> Iterator[BrokerFacts]:
    return (broker for broker in facts.brokers if not broker.fault)


def _name(broker: BrokerFacts) -> str:
    return f"broker {broker.id}"
