"""Values that cannot be meant: each is refused by a sentence, before anything changes."""

from functools import cache
from typing import Any

import pytest

from tests.deployment.helm.chart import Case, merged, render

BASE: dict[str, Any] = {
    "app": "bank.payments:app",
    "image": {"repository": "registry.example.com/bank"},
    "kafka": {"bootstrapServers": "kafka:9092"},
}
TOPOLOGY = {
    "topology": {
        "appName": "bank",
        "processManagers": ["transfer-money"],
        "sourceTopics": ["bank.transfers"],
    }
}
SCALED = {"router": {"autoscaling": {"enabled": True}}}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    # what: values, part of the sentence
    "no app": ({"app": ""}, "/app"),
    "an app that is no module:attribute": ({"app": "bank.payments"}, "/app"),
    "no image": ({"image": {"repository": ""}}, "/image/repository"),
    "no brokers": ({"kafka": {"bootstrapServers": ""}}, "/kafka/bootstrapServers"),
    "brokers without a port": ({"kafka": {"bootstrapServers": "kafka"}}, "bootstrapServers"),
    "a value that does not exist": ({"instances": {"replica": 3}}, "replica"),
    "a setting that does not exist": ({"settings": {"inbox_partition": 3}}, "inbox_partition"),
    "a setting that the chart makes": ({"settings": {"state_dir": "/x"}}, "state_dir"),
    "a number that is a text": ({"settings": {"inbox_partitions": "12"}}, "inbox_partitions"),
    "no pods": ({"instances": {"replicas": 0}}, "/instances/replicas"),
    "no routers": ({"router": {"replicas": 0}}, "/router/replicas"),
    "more owners than partitions": (
        {"instances": {"replicas": 4, "workersPerPod": 4}},
        "16, but the inbox has 12 partitions",
    ),
    "more routers than partitions": ({"router": {"replicas": 13}}, "topology.sourcePartitions, 12"),
    "a session timeout with the consumer protocol": (
        {"settings": {"group_protocol": "consumer", "session_timeout_ms": 9000}},
        "/settings/session_timeout_ms",
    ),
    "a session longer than a poll": (
        {"settings": {"session_timeout_ms": 130_000}},
        "must be less than max_poll_interval_ms, 120000",
    ),
    "a grace shorter than a transaction": (
        {"termination": {"gracePeriodSeconds": 30}},
        "draining, shutting down and the transaction timeout may take 92",
    ),
    "a property that exactly-once rests on": (
        {"kafka": {"properties": {"enable.auto.commit": True}}},
        "enable.auto.commit",
    ),
    "a mechanism without a secret": (
        {"kafka": {"sasl": {"mechanism": "SCRAM-SHA-512"}}},
        "/kafka/sasl/existingSecret",
    ),
    "a client certificate without TLS": (
        {"kafka": {"tls": {"clientSecret": "bank"}}},
        "needs kafka.tls.enabled",
    ),
    "a broker behind a closed port": (
        {"kafka": {"bootstrapServers": "kafka:9092,kafka:19092"}},
        "port 19092, which networkPolicy.kafkaPorts does not open",
    ),
    "autoscaling of nothing": (merged(TOPOLOGY, SCALED, {"router": {"enabled": False}}), "/router"),
    "autoscaling by the lag of unknown groups": (SCALED, "/topology"),
    "autoscaling to zero": (
        merged(TOPOLOGY, {"router": {"autoscaling": {"enabled": True, "minReplicas": 0}}}),
        "minReplicas",
    ),
    "autoscaling over the partitions": (
        merged(TOPOLOGY, {"router": {"autoscaling": {"enabled": True, "maxReplicas": 13}}}),
        "router.workersPerPod is 13, but the largest source topic has 12 partitions",
    ),
    "a least over the most": (
        merged(
            TOPOLOGY,
            {"router": {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 4}}},
        ),
        "minReplicas is 5, more than its maximum of 4",
    ),
    "topics of no cluster": (
        merged(TOPOLOGY, {"strimzi": {"topics": {"enabled": True}}}),
        "/strimzi/cluster",
    ),
    "a hook that waits for the release's own secret": (
        merged(TOPOLOGY, {"strimzi": {"cluster": "events", "user": {"enabled": True}}}),
        "/topics/ensure",
    ),
    "a user's certificate without TLS": (
        merged(
            TOPOLOGY,
            {
                "strimzi": {
                    "cluster": "events",
                    "user": {"enabled": True, "authentication": "tls"},
                },
                "topics": {"ensure": "job"},
            },
        ),
        "set kafka.tls.enabled",
    ),
    "more owners than source partitions in direct mode": (
        {"router": {"enabled": False}, "instances": {"replicas": 13}},
        "13, but the source topic has 12 partitions",
    ),
    "a Secret in another namespace": (
        merged(
            TOPOLOGY,
            {
                "strimzi": {"cluster": "events", "namespace": "kafka", "user": {"enabled": True}},
                "topics": {"ensure": "job"},
            },
        ),
        "copy it to prod and name it by kafka.sasl.existingSecret",
    ),
    "a CA in another namespace": (
        merged(
            TOPOLOGY,
            {
                "kafka": {"tls": {"enabled": True}},
                "strimzi": {"cluster": "events", "namespace": "kafka", "topics": {"enabled": True}},
            },
        ),
        "copy the Secret events-cluster-ca-cert to prod",
    ),
    "a replay of nobody": ({"replay": {"enabled": True}}, "/replay/processManager"),
    "root": ({"securityContext": {"runAsUser": 0}}, "/securityContext/runAsUser"),
}


@cache
def errors() -> dict[str, str]:
    cases = [Case(values=merged(BASE, values)) for values, _ in REFUSED.values()]
    return dict(zip(REFUSED, (each.error for each in render(*cases)), strict=True))


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(what: str) -> None:
    sentence = REFUSED[what][1]

    assert sentence in errors()[what]


def test_without_the_contradiction_it_is_taken() -> None:
    (found,) = render(Case(values=BASE))

    assert found.error == ""
