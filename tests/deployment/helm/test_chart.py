"""The chart: every mode of ci/ rendered, and held to Kubernetes, to pmstream, and to itself."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pmstream import __version__
from pmstream.cli.root import root
from pmstream.config import Settings
from pmstream.properties import REFUSED
from tests.deployment.helm import values_table
from tests.deployment.helm.chart import (
    CHART,
    MODES,
    containers,
    environment,
    modes,
    names,
    pod_of,
    template_of,
)
from tests.deployment.helm.schema import at, schema

OF_THE_CHART = {"bootstrap_servers", "kafka", "app", "state_dir", "health_port"}
"""Settings that have values of their own."""


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_is_accepted_by_every_kubernetes(mode: str) -> None:
    rendered = modes()[mode]

    assert rendered.error == ""
    assert rendered.documents
    assert rendered.faults == []


@pytest.mark.parametrize("mode", MODES)
def test_names_are_unique_and_begin_with_the_release(mode: str) -> None:
    documents = [each for each in modes()[mode].documents if "Kafka" not in each["kind"]]

    found = names(documents)

    assert len(set(found)) == len(found)
    assert {name for name in found if not name.split("/")[1].startswith("bank-pmstream")} == set()


@pytest.mark.parametrize("mode", MODES)
def test_pods_are_restricted_and_hold_no_token(mode: str) -> None:
    ran = containers(modes()[mode].documents)

    assert ran
    for pod, container in ran:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        inner = container["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False
        assert inner["readOnlyRootFilesystem"] is True
        assert inner["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_mounted_is_there(mode: str) -> None:
    for each in modes()[mode].documents:
        pod = pod_of(each)
        claims = each.get("spec", {}).get("volumeClaimTemplates", [])
        for container in pod["containers"] if pod else []:
            assert pod is not None
            mounted = {mount["name"] for mount in container["volumeMounts"]}
            there = {volume["name"] for volume in pod["volumes"]}
            assert mounted == there | {claim["metadata"]["name"] for claim in claims}


@pytest.mark.parametrize("mode", MODES)
def test_pmstream_takes_its_environment(
    mode: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given the environment that a pod finds
    for pod, container in containers(modes()[mode].documents):
        with monkeypatch.context() as patch:
            for name, value in environment(container).items():
                patch.setenv(name, str(tmp_path) if name == "PMSTREAM_SECRETS_DIR" else value)

            # when it starts, then no variable is refused
            settings = Settings.load()

        assert settings.health_port == container.get("ports", [{"containerPort": 9464}])[0].get(
            "containerPort"
        )
        assert pod["enableServiceLinks"] is False, "Kubernetes' own PMSTREAM_PORT would be refused"


@pytest.mark.parametrize("mode", MODES)
def test_a_pod_runs_a_command_that_exists(mode: str) -> None:
    for _, container in containers(modes()[mode].documents):
        assert container["command"] == ["pmstream"]
        asked = CliRunner().invoke(root, [*container["args"], "--help"], prog_name="pmstream")
        assert asked.exit_code == 0, asked.output


def test_a_replay_is_one_that_the_command_takes() -> None:
    """Not refused as a contradiction: it comes as far as the app, which is not here."""
    job = modes()["replay"].one("CronJob")
    [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]

    asked = CliRunner().invoke(root, container["args"], prog_name="pmstream")

    assert "say either --shadow, or where" not in asked.output + asked.stderr


def test_a_pods_name_is_its_workers_name() -> None:
    # group.instance.id and transactional.id follow from it: it must be the one that comes back
    for role, option in (("instances", "--workers=2"), ("router", "--routers=1")):
        workload = modes()["default"].one("StatefulSet", role)
        (container,) = workload["spec"]["template"]["spec"]["containers"]

        assert "--name=$(POD_NAME)" in container["args"]
        assert {f"--role={role}", option} <= set(container["args"])
        assert workload["spec"]["podManagementPolicy"] == "Parallel"


def test_state_is_on_volumes_that_outlive_a_release_but_no_scaling() -> None:
    found = modes()["default"]

    instances, router = (found.one("StatefulSet", each)["spec"] for each in ("instances", "router"))

    assert instances["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Delete",
    }
    assert "volumeClaimTemplates" not in router


def test_a_deployment_has_no_volumes_and_members_that_need_no_name_again() -> None:
    found = modes()["deployment"]

    assert not found.of("StatefulSet")
    pod = pod_of(found.one("Deployment", "instances"))
    assert pod is not None
    assert {"name": "state", "emptyDir": {"sizeLimit": "2Gi"}} in pod["volumes"]
    (container,) = pod["containers"]
    assert environment(container)["PMSTREAM_GROUP_PROTOCOL"] == "consumer"
    for kind in ("requests", "limits"):
        assert container["resources"][kind]["ephemeral-storage"] == "2Gi"
        assert container["resources"][kind]["memory"] == "1Gi"


def test_direct_mode_has_no_routers() -> None:
    assert not modes()["direct"].of("StatefulSet", "router")
    assert not modes()["direct"].of("PodDisruptionBudget", "router")


def test_routers_that_autoscale_have_no_count_of_their_own() -> None:
    found = modes()["keda"]

    assert "replicas" not in found.one("StatefulSet", "router")["spec"]
    scaler = found.one("ScaledObject")["spec"]
    assert (scaler["minReplicaCount"], scaler["maxReplicaCount"]) == (1, 6)
    assert [each["metadata"]["topic"] for each in scaler["triggers"]] == [
        "bank.transfers",
        "bank.accounts",
    ]
    assert {each["metadata"]["consumerGroup"] for each in scaler["triggers"]} == {
        "bank.transfer-money.router"
    }


def test_passwords_are_files_and_never_variables() -> None:
    for mode in ("scram", "strimzi", "default"):
        for pod, container in containers(modes()[mode].documents):
            assert not [each for each in container["env"] if "secretKeyRef" in str(each)]
            assert "PMSTREAM_KAFKA__sasl__password" not in environment(container)
            assert "secrets" in [each["name"] for each in pod["volumes"]]


def test_pmstream_finds_its_credentials_in_the_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # given the files that a pod finds
    pod, container = containers(modes()["scram"].documents)[0]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "secrets"]
    for source in volume["projected"]["sources"]:
        for item in source["secret"]["items"]:
            (tmp_path / item["path"]).write_text(f"the {item['key']}")
    for name, value in environment(container).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PMSTREAM_SECRETS_DIR", str(tmp_path))

    found = Settings.load().kafka

    assert found == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "the username",
        "sasl.password": "the password",
        "ssl.ca.location": "/etc/pmstream/tls/ca/ca.crt",
    }


def test_the_topics_are_made_before_pods_that_would_wait_for_them() -> None:
    hook = modes()["default"].one("Job", "topics")
    beside = modes()["strimzi"].one("Job", "topics")

    assert hook["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert "serviceAccountName" not in hook["spec"]["template"]["spec"], "it comes before that"
    assert "annotations" not in beside["metadata"], "its credentials come with the release"


def test_the_notes_name_the_next_commands() -> None:
    notes = modes()["default"].notes

    if not notes:
        pytest.skip("`helm template` shows no notes")
    assert "kubectl rollout status -n prod statefulset/bank-pmstream-instances" in notes
    assert "helm test bank -n prod" in notes
    assert "bank-pmstream-instances-0 -- pmstream status pmstream.examples.transfer:app" in notes


def test_every_label_selector_finds_its_pods() -> None:
    found = modes()["monitoring"]
    for role in ("instances", "router"):
        labels = template_of(found.one("StatefulSet", role))["metadata"]["labels"]  # type: ignore[index]
        wanted = [found.one("StatefulSet", role)["spec"]["selector"]["matchLabels"]]
        wanted.append(found.one("Service", role)["spec"]["selector"])
        wanted.append(found.one("PodDisruptionBudget", role)["spec"]["selector"]["matchLabels"])
        wanted.append(found.one("PodMonitor")["spec"]["selector"]["matchLabels"])
        wanted.append(found.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"])
        assert all(each.items() <= labels.items() for each in wanted)


def test_the_schema_knows_the_settings_and_what_is_refused() -> None:
    settings = set(at(schema(), "settings")["properties"])
    refused = at(schema(), "kafka", "properties")["propertyNames"]["not"]["enum"]

    assert settings == set(Settings.model_fields) - OF_THE_CHART
    assert set(refused) == set(REFUSED)


def test_defaults_that_the_chart_counts_with_are_pmstreams() -> None:
    fields = Settings.model_fields
    text = "".join(path.read_text() for path in (CHART / "templates").glob("*.tpl"))

    counted = dict(re.findall(r"\.Values\.settings\.(\w+) \| default (\d+)", text))

    assert counted == {
        "inbox_partitions": str(fields["inbox_partitions"].default),
        "shutdown_timeout_s": f"{fields['shutdown_timeout_s'].default:g}",
        "transaction_timeout_ms": str(fields["transaction_timeout_ms"].default),
        "session_timeout_ms": str(fields["session_timeout_ms"].default),
        "max_poll_interval_ms": str(fields["max_poll_interval_ms"].default),
    }


def test_the_chart_is_of_this_pmstream() -> None:
    assert f'appVersion: "{__version__}"' in (CHART / "Chart.yaml").read_text()


def test_the_table_of_values_is_current() -> None:
    assert values_table.README.read_text() == values_table.readme(), "run `just helm-readme`"


def test_every_value_is_explained_and_in_the_schema() -> None:
    lines = values_table.all_()

    assert [each.path for each in lines if not each.meaning] == []
    for each in lines:
        at(schema(), *each.path.split("."))
