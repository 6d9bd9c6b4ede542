"""Settings: sources in their order, every fault at once, and no secret shown."""

import os
from pathlib import Path

import pytest

from pmstream.config import CONTRADICTIONS, NOT_SETTINGS, Settings
from pmstream.errors import ConfigurationError
from pmstream.properties import REFUSED


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and no variable of ours."""
    for name in os.environ:
        if name.upper().startswith("PMSTREAM_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    monkeypatch.setenv("PMSTREAM_SECRETS_DIR", str(folder))
    return folder


def faults(**overrides: object) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(**overrides)
    return list(caught.value.faults)


def test_defaults_need_no_source() -> None:
    assert Settings.load().inbox_partitions == 12


def test_an_argument_wins_over_environment_over_file_over_secret(
    monkeypatch: pytest.MonkeyPatch, folder: Path, secrets: Path
) -> None:
    for name in ("client_id", "bootstrap_servers", "inbox_partitions", "cache_bytes"):
        (secrets / f"PMSTREAM_{name.upper()}").write_text("4\n")
    (folder / "pmstream.toml").write_text(
        'client_id = "3"\nbootstrap_servers = "3"\ninbox_partitions = 3\n'
    )
    monkeypatch.setenv("PMSTREAM_CLIENT_ID", "2")
    monkeypatch.setenv("PMSTREAM_BOOTSTRAP_SERVERS", "2")

    settings = Settings.load(client_id="1")

    assert settings.client_id == "1"
    assert settings.bootstrap_servers == "2"
    assert settings.inbox_partitions == 3
    assert settings.cache_bytes == 4


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSTREAM_REPLICATION", "")

    assert Settings.load().replication is None


def test_a_file_may_stand_elsewhere(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "other.toml").write_text("inbox_partitions = 5")
    monkeypatch.setenv("PMSTREAM_CONFIG", str(folder / "other.toml"))

    assert Settings.load().inbox_partitions == 5


def test_kafka_properties_have_dots_whatever_their_source(
    monkeypatch: pytest.MonkeyPatch, folder: Path, secrets: Path
) -> None:
    monkeypatch.setenv("PMSTREAM_KAFKA__SASL__mechanism", "SCRAM-SHA-512")
    (folder / "pmstream.toml").write_text(
        '[kafka]\n"sasl.mechanism" = "PLAIN"\nsocket.keepalive.enable = true\n"linger.ms" = 7\n'
    )
    (secrets / "pmstream_kafka__sasl__password").write_text("0123\n")

    assert Settings.load().kafka == {
        "sasl.mechanism": "SCRAM-SHA-512",
        "socket.keepalive.enable": "true",
        "linger.ms": "7",
        "sasl.password": "0123",
    }


def test_values_of_the_app_come_from_every_source_under_names_in_lower_case(
    monkeypatch: pytest.MonkeyPatch, folder: Path, secrets: Path
) -> None:
    monkeypatch.setenv("PMSTREAM_APP__Tenant", "acme")
    monkeypatch.setenv("PMSTREAM_APP__limits__Rate", "1.10")
    (folder / "pmstream.toml").write_text(
        '[app]\nTENANT = "other"\nregion = "eu"\n[app.limits]\nrate = 5\nburst = 7\n'
    )
    (secrets / "PMSTREAM_APP__API_KEY").write_text("0123\n")

    assert Settings.load().app == {
        "tenant": "acme",
        "region": "eu",
        "limits.rate": "1.10",
        "limits.burst": "7",
        "api_key": "0123",
    }
    assert Settings.load(app={"Tenant": "mine"}).app["tenant"] == "mine"


def test_a_property_is_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSTREAM_KAFKA__sasl__password", "1e5")

    assert Settings.load().kafka["sasl.password"] == "1e5"


def test_a_value_of_the_app_that_is_not_set_is_told_when_it_is_asked_for() -> None:
    settings = Settings.load()

    assert settings.app.get("tenant", "nobody") == "nobody"
    with pytest.raises(ConfigurationError, match=r"'a\.b' that is not set: set PMSTREAM_APP__a__b"):
        settings.app["a.b"]


def test_other_files_beside_secrets_are_left_alone(secrets: Path) -> None:
    (secrets / "ca.crt").write_text("-----BEGIN")
    (secrets / "..data").mkdir()

    assert Settings.load().kafka == {}


def test_a_password_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSTREAM_KAFKA__sasl__password", "hunter2")
    monkeypatch.setenv("PMSTREAM_KAFKA__ssl__key__password", "hunter2")
    monkeypatch.setenv("PMSTREAM_KAFKA__sasl__username", "me")
    monkeypatch.setenv("PMSTREAM_APP__mine", "hunter2")

    text = repr(Settings.load()) + str(Settings.load())

    assert "hunter2" not in text
    assert "'sasl.username': 'me'" in text


def test_no_fault_shows_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSTREAM_KAFKA__sasl__password", "hunter2")
    monkeypatch.setenv("PMSTREAM_KAFKA__acks", "1")
    monkeypatch.setenv("PMSTREAM_CACHE_BYTES", "-1")

    assert "hunter2" not in "\n".join(faults())


def test_a_value_of_the_app_that_is_no_text_is_told_without_it(folder: Path) -> None:
    (folder / "pmstream.toml").write_text('[app]\nkeys = ["hunter2"]\n')

    [fault] = faults()

    assert fault == "app value keys cannot be read: input should be a valid string"


def test_all_faults_come_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMSTREAM_INBOX_PARTITONS", "3")
    monkeypatch.setenv("PMSTREAM_CACHE_BYTES", "much")
    monkeypatch.setenv("PMSTREAM_KAFKA__enable__idempotence", "false")

    found = faults(state_dri="x")

    assert [fault.split(":")[0] for fault in sorted(found)] == [
        (
            "Kafka property enable.idempotence cannot be set, because transactions need the "
            "idempotent producer with every in-sync replica's answer"
        ),
        "environment variable PMSTREAM_INBOX_PARTITONS is no setting of pmstream",
        "setting cache_bytes is 'much' (PMSTREAM_CACHE_BYTES)",
        f"state_dri is no setting of pmstream; settings are {', '.join(Settings.model_fields)}",
    ]


@pytest.mark.parametrize("name", sorted(NOT_SETTINGS - {"PMSTREAM_CONFIG", "PMSTREAM_SECRETS_DIR"}))
def test_other_variables_of_ours_are_no_fault(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "x")

    Settings.load()


def test_what_kubernetes_adds_for_a_service_is_told_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PMSTREAM_SERVICE_HOST", "10.0.0.1")

    assert "enableServiceLinks: false" in faults()[0]


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_property_that_exactly_once_rests_on_is_refused_with_the_reason(name: str) -> None:
    [fault] = faults(kafka={name: "x"})

    assert fault == f"Kafka property {name} cannot be set, because {REFUSED[name]}"


@pytest.mark.parametrize(("smaller", "larger", "because"), CONTRADICTIONS)
def test_a_contradiction_is_refused(smaller: str, larger: str, because: str) -> None:
    found = faults(**{smaller: 50_000, larger: 50_000})

    assert any(fault.startswith(smaller) and fault.endswith(because) for fault in found)


@pytest.mark.parametrize(
    ("variable", "value", "text"),
    [
        ("PMSTREAM_CONFIG", "gone.toml", "gone.toml cannot be read: No such file or directory"),
        ("PMSTREAM_CONFIG", "bad.toml", "bad.toml is not TOML"),
        ("PMSTREAM_SECRETS_DIR", "gone", "gone cannot be read: No such file or directory"),
        ("PMSTREAM_KAFKA", "{", "PMSTREAM_KAFKA is not a JSON object"),
        ("PMSTREAM_APP", "shop:app", "PMSTREAM_APP is not a JSON object: use PMSTREAM_APP__tenant"),
    ],
)
def test_a_source_that_cannot_be_read_is_told(
    monkeypatch: pytest.MonkeyPatch, folder: Path, variable: str, value: str, text: str
) -> None:
    (folder / "bad.toml").write_text("= 3")
    monkeypatch.setenv(variable, value)

    [fault] = faults()

    assert fault.startswith(text)
