"""A policy scanner looks at every mode: what it finds is mended, or waived here with the reason."""

import json

import pytest

from tests.deployment.helm.chart import MODES, modes
from tests.deployment.tools import kube_score, run

WAIVED = {
    "container-resources": "no CPU limit: a throttled owner of state misses its session",
    "container-image-pull-policy": "images are pinned; pulling always slows every restart down",
    "statefulset-has-host-podantiaffinity": "the topology spread does that, and more",
    "deployment-has-host-podantiaffinity": "the topology spread does that, and more",
}
_OK = 10


def findings(text: str) -> list[tuple[str, str, str]]:
    """(object, check, comment) of all that is below par."""
    options = ["--output-format", "json", "--kubernetes-version", "v1.32"]
    done = run([kube_score(), "score", *options, "-"], given=text)
    return [
        (each["object_name"], check["check"]["id"], str(check["comments"]))
        for each in json.loads(done.stdout)
        for check in each["checks"]
        if not check["skipped"] and check["grade"] < _OK
    ]


@pytest.mark.parametrize("mode", MODES)
def test_a_mode_passes_the_scan(mode: str) -> None:
    documents = "\n---\n".join(json.dumps(each) for each in modes()[mode].documents)

    found = [each for each in findings(documents) if each[1] not in WAIVED]

    assert found == []


def test_the_scan_sees_a_container_that_may_write_to_its_root() -> None:
    text = json.dumps(modes()["minimal"].documents)[1:-1]
    documents = modes()["minimal"].one("StatefulSet", "router")
    lax = json.dumps(documents).replace('"readOnlyRootFilesystem": true', '"privileged": true')

    assert '"readOnlyRootFilesystem": true' in text
    assert "container-security-context-readonlyrootfilesystem" in [
        each[1] for each in findings(lax)
    ]
