"""Secrets, from each place they may come from, stand in nothing that the command line says."""

import logging
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pmstream.config import Settings
from pmstream.errors import ConfigurationError, PmstreamError
from pmstream.runtime.kafka import KafkaLog
from tests.security.issuer import SECRET
from tests.security.kit import PASSWORD, SASL, Secured, typed

APP = "pmstream.examples.transfer:app"
MARK = "secret-value-"
"""Begins each secret."""

NOBODY = "127.0.0.1:9"
TOPICS = ("topics", "list", APP)

TOGETHER = 8
"""Commands that run at a time: most of them wait ten seconds for nobody."""

COMMANDS = (
    ("--help",),
    ("--version",),
    ("status", APP),
    ("doctor", APP),
    ("topics", "check", APP),
    ("topics", "list", APP),
    ("--debug", "topics", "list", APP),
    ("run", APP),
    ("--debug", "run", APP, "--health-port", "0"),
    ("worker", APP, "transfer-money", "router", "w-1"),
    ("instances", "list", APP, "transfer-money"),
    ("instances", "show", APP, "transfer-money", "x"),
    ("dead-letters", "list", APP, "transfer-money"),
    ("consume", APP, "bank.transfers"),
    ("schemas", "check", APP),
    ("run", "no.such:app"),
    ("run", f"{__name__}:make_app"),
)


def make_app(settings: Settings) -> None:
    """An app that shows all that it was given as it fails."""
    raise ValueError(f"{settings!r} {settings}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A secret in a TOML file, and one in a folder of secret files."""
    (tmp_path / "pmstream.toml").write_text(
        f'[kafka]\n"ssl.key.password" = "{MARK}toml"\n[app]\n"api.key" = "{MARK}app"\n'
    )
    (tmp_path / "secrets").mkdir()
    name = "PMSTREAM_KAFKA__sasl__oauthbearer__client__secret"
    (tmp_path / "secrets" / name).write_text(f"{MARK}file\n")
    return tmp_path


def ask(folder: Path, *arguments: str, **changed: str) -> str:
    """All that a command says."""
    variables = {
        "PMSTREAM_BOOTSTRAP_SERVERS": NOBODY,
        "PMSTREAM_SECRETS_DIR": "secrets",
        "PMSTREAM_HEALTH_PORT": "0",
        "PMSTREAM_KAFKA__security__protocol": "SASL_PLAINTEXT",
        "PMSTREAM_KAFKA__sasl__mechanism": "SCRAM-SHA-256",
        "PMSTREAM_KAFKA__sasl__username": "somebody",
        "PMSTREAM_KAFKA__sasl__password": f"{MARK}variable",
        "PMSTREAM_KAFKA__debug": "all",
        "PMSTREAM_TRACING": "on",
        "PMSTREAM_TRACING_ENDPOINT": f"http://user:{MARK}collector@127.0.0.1:9",
        **changed,
    }
    done = typed(folder, variables, *arguments)
    return done.stdout + done.stderr


@pytest.mark.slow
def test_no_command_shows_a_secret(folder: Path) -> None:
    with ThreadPoolExecutor(TOGETHER) as threads:
        told = list(threads.map(lambda each: ask(folder, *each), COMMANDS))

    assert [each for each in told if MARK in each] == []
    assert all(told)
    assert f"Kafka at {NOBODY} cannot be reached" in told[2]


FAULTS = [
    # variable, its value, what is told
    ("KAFKA__sasl__jaas__config", f"Login required password='{MARK}jaas';", "JAAS"),
    ("KAFKA__ssl__key__pem", f"{MARK}pem", ""),
    ("KAFKA__ssl__keystore__password", f"{MARK}store", ""),
    ("KAFKA__sasl__oauthbearer__config", f"{MARK}config {MARK}x=y", ""),
    ("KAFKA", f"{MARK}json", "PMSTREAM_KAFKA is not a JSON object"),
    ("APP", f"{MARK}json", "PMSTREAM_APP is not a JSON object"),
    ("SASL_PASSWORD", f"{MARK}elsewhere", "PMSTREAM_SASL_PASSWORD is no setting"),
    ("TRACING_ENDPOINT", f"htp://user:{MARK}typo@host", "setting tracing_endpoint is"),
    ("CONFIG", "no.toml", "no.toml"),
]


@pytest.mark.slow
def test_no_fault_of_the_settings_shows_a_secret(folder: Path) -> None:
    (folder / "no.toml").write_text(f'kafka = "{MARK}no\n')

    with ThreadPoolExecutor(TOGETHER) as threads:
        told = list(
            threads.map(
                lambda each: ask(folder, *TOPICS, **{f"PMSTREAM_{each[0]}": each[1]}), FAULTS
            )
        )

    for (variable, _, said), text in zip(FAULTS, told, strict=True):
        assert said in text, variable
        assert MARK not in text, variable


@pytest.mark.parametrize(
    "name",
    [
        "sasl.password",
        "ssl.key.password",
        "ssl.keystore.password",
        "ssl.key.pem",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "sasl.jaas.config",
        "sasl.oauthbearer.assertion.private.key.passphrase",
    ],
)
def test_settings_show_no_secret_of_a_kafka_property(name: str) -> None:
    shown = Settings(kafka={name: f"{MARK}value"}, tracing_endpoint=f"http://a:{MARK}b@host")

    assert MARK not in f"{shown!r} {shown}"
    assert "***" in repr(shown)


def test_what_the_client_says_of_a_secret_is_hidden() -> None:
    """librdkafka repeats what it cannot read."""
    properties = {"sasl.oauthbearer.config": f"{MARK}config", "sasl.mechanism": "OAUTHBEARER"}

    with pytest.raises(ConfigurationError) as raised:
        KafkaLog(NOBODY, {**properties, "sasl.password": "no-such", "debug": "no-such"})

    assert MARK not in str(raised.value)
    assert "no-such" not in str(raised.value)


@pytest.mark.kafka
@pytest.mark.parametrize("door", ["scram", "tokens", "tls"])
def test_the_client_at_debug_shows_no_secret(
    secured: Secured,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    door: str,
) -> None:
    # Another test may have configured the log, as commands do.
    for name in ("pmstream", "pmstream.kafka"):
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
        monkeypatch.setattr(logging.getLogger(name), "disabled", False)
        caplog.set_level(logging.DEBUG, logger=name)
    caplog.set_level(logging.DEBUG)
    ways = {
        "scram": SASL,
        "tls": secured.certificates.client("locked"),
        "tokens": {
            "security.protocol": "SASL_SSL",
            "ssl.ca.location": secured.certificates.path("ca.pem"),
            **secured.issuer.client(),
        },
    }
    log = KafkaLog(secured.doors[door].address, {**ways[door], "debug": "all"})

    log.topics()
    with pytest.raises(PmstreamError):
        log.config("no.such.topic")
    writer = log.writer()
    writer.produce("no.such.topic", b"value")
    with pytest.raises(PmstreamError):
        writer.flush(10)

    assert "pmstream.kafka" in caplog.text
    for secret in (PASSWORD, SECRET, "the-key-of-the-key"):
        assert secret not in caplog.text
    assert "eyJ" not in caplog.text, "a token"
