"""TLS with certificates of brokers and clients (mTLS): the certificate's name is the user's."""

from pathlib import Path

import pytest

from pmstream.errors import ConfigurationError
from pmstream.runtime.kafka import KafkaLog
from tests.runtime.world import World
from tests.security.kit import Secured, allow, ask, ask_all, start, work

pytestmark = pytest.mark.kafka

TOPICS = ("topics", "list", "pmstream.examples.transfer:app")


@pytest.mark.parametrize("certificate", ["client", "locked"])
def test_a_certificate_is_a_user_with_exactly_its_permissions(
    secured: Secured, world: World, certificate: str
) -> None:
    allow(secured, world)

    start(world, secured.doors["tls"], secured.certificates.client(certificate))
    work(world)

    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


def test_the_command_line_comes_by_its_certificate(secured: Secured, tmp_path: Path) -> None:
    code, out, err = ask(tmp_path, secured.doors["tls"], secured.certificates.client(), *TOPICS)

    assert (code, err) == (0, "")
    assert "missing" in out, "a user without permissions sees no topic"


REFUSED = [
    # door, the client's certificate, its authority, and what it is told
    ("tls", "client", "other.pem", "other.pem holds no authority that has signed it; name"),
    ("late", "client", "ca.pem", "(certificate has expired): have it renewed"),
    ("stranger", "client", "ca.pem", "it is for kafka.example.com; reach the broker by"),
    ("tls", None, "ca.pem", "set ssl.certificate.location and ssl.key.location"),
    ("tls", "expired", "ca.pem", "expired.crt: it has expired, or is of an authority that"),
    ("tls", "foreign", "ca.pem", "foreign.crt: it has expired, or is of an authority that"),
    ("scram", "client", "ca.pem", "that port may know no TLS"),
    ("tls", "plaintext", "", "that port may want TLS or SASL: set security.protocol"),
    ("scram", "plaintext", "", "that port may want SASL: set security.protocol"),
]


def test_a_connection_that_is_refused_is_told_with_what_to_do(
    secured: Secured, tmp_path: Path
) -> None:
    ways = [
        (
            secured.doors[door],
            {} if certificate == "plaintext" else secured.certificates.client(certificate, ca),
        )
        for door, certificate, ca, _ in REFUSED
    ]

    answers = ask_all(tmp_path, ways, *TOPICS)

    for (code, _, err), (door, _), (*_, said) in zip(answers, ways, REFUSED, strict=True):
        assert err.startswith(f"pmstream: Kafka at {door.address} cannot be reached: ")
        assert said in err
        assert (code, len(err.splitlines())) == (69, 1)


UNUSABLE = [
    # what of the settings is wrong, and what is told
    ({"ssl.key.password": "not-this-one"}, "ssl.key.password is missing or wrong"),
    ({"ssl.key.password": ""}, "ssl.key.password is missing or wrong"),
    ({"ssl.key.location": "nowhere.key"}, "the file is missing, or holds no key"),
    ({"ssl.ca.location": "nowhere.pem"}, "ssl.ca.location failed"),
    ({"ssl.ca.location": "no.pem"}, "the file is missing, or holds no certificates"),
    ({"ssl.certificate.location": "no.pem"}, "the file is missing, or holds no certificate"),
]


@pytest.mark.parametrize(("changed", "said"), UNUSABLE)
def test_files_that_cannot_be_used_are_told_at_once(
    secured: Secured, changed: dict[str, str], said: str
) -> None:
    files = {
        name: secured.certificates.path(value) if name.endswith("location") else value
        for name, value in changed.items()
    }
    properties = {**secured.certificates.client("locked"), **files}

    with pytest.raises(ConfigurationError) as raised:
        KafkaLog(secured.doors["tls"].address, properties)

    told = str(raised.value)
    assert told.startswith("Kafka client: ")
    assert said in told
    assert len(told.splitlines()) == 1
    assert "not-this-one" not in told
