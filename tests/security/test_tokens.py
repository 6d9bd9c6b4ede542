"""OAUTHBEARER: tokens of an identity provider are passed through to the broker that judges them."""

import time
from pathlib import Path

import pytest

from tests.runtime.world import World
from tests.security.issuer import AUDIENCE, SECRET
from tests.security.kit import PATIENCE, Secured, allow, ask_all, start, work

pytestmark = pytest.mark.kafka

TOPICS = ("topics", "list", "pmstream.examples.transfer:app")
LIFE_S = 4
UNSECURED = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "OAUTHBEARER",
    "enable.sasl.oauthbearer.unsecure.jwt": "true",
    "sasl.oauthbearer.config": "principal=worker lifeSeconds=60",
}


def by_tokens(secured: Secured, secret: str = SECRET) -> dict[str, str]:
    return {
        "security.protocol": "SASL_SSL",
        "ssl.ca.location": secured.certificates.path("ca.pem"),
        **secured.issuer.client(secret),
    }


def test_a_worker_outlives_its_tokens(secured: Secured, world: World) -> None:
    """The broker ends a connection with its token; each newer one must be brought in time."""
    allow(secured, world)
    issuer = secured.issuer
    issuer.life_s, before = LIFE_S, issuer.handed_out
    number, deadline = 3, time.monotonic() + PATIENCE

    start(world, secured.doors["tokens"], by_tokens(secured))
    work(world)
    clients = issuer.handed_out - before
    while issuer.handed_out < before + 3 * clients:
        assert time.monotonic() < deadline, "tokens are not renewed"
        world.count("a", [number])
        number += 1
        work(world, number)
    issuer.life_s = 60

    assert world.counts("a") == [(n, n + 1) for n in range(number)]


def test_a_worker_with_tokens_that_nobody_signed(secured: Secured, world: World) -> None:
    """Kafka's and librdkafka's form for tests."""
    allow(secured, world)

    start(world, secured.doors["unsecured"], UNSECURED)
    work(world)

    assert world.counts("a") == [(0, 1), (1, 2), (2, 3)]


def test_a_token_that_is_refused_or_not_to_be_had_is_told(secured: Secured, tmp_path: Path) -> None:
    door, good = secured.doors["tokens"], by_tokens(secured)
    nobody = {**good, "sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:9/token"}
    ways = [(door, good), (door, by_tokens(secured, "wrong-secret")), (door, nobody)]
    secured.issuer.audience = "somebody-else"

    answers = ask_all(tmp_path, ways, *TOPICS)
    secured.issuer.audience = AUDIENCE

    (code, _, refused), (_, _, unknown), (_, _, away) = answers
    assert (code, len(refused.splitlines())) == (69, 1)
    assert "invalid_token" in refused
    assert "unknown client" in unknown
    assert [each[0] for each in answers] == [69] * 3
    for each in (unknown, away):
        assert "correct sasl.oauthbearer.client.id, .client.secret or .token.endpoint.url" in each
    for _, out, err in answers:
        assert "wrong-secret" not in out + err
        assert SECRET not in out + err
