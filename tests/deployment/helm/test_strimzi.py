"""Topics and ACLs that the chart declares are those that pmstream makes and needs."""

from collections.abc import Iterator
from typing import Any

import pytest

from pmstream.app import App, Names
from pmstream.config import Settings
from pmstream.examples.careful_transfer import app as careful
from pmstream.examples.transfer import app as transfer
from pmstream.operate.doctor.permissions import NEEDED
from pmstream.operate.topics import Role, wanted
from pmstream.runtime.clock import VirtualClock
from pmstream.runtime.memory import MemoryLog
from tests.deployment.helm.chart import Case, Rendered, merged, modes, render

MORE = {
    Role.INBOX: {"Create"},
    Role.CHANGELOG: {"Create"},
    Role.REPLIES: {"Create"},
    Role.ORDERS: {"Create"},
    Role.DEAD_LETTERS: {"Create", "Read"},
}
"""Beside what a worker needs: `topics ensure` makes them, an operator reads dead letters."""


def topology(app: App) -> dict[str, Any]:
    return {
        "appName": app.name,
        "processManagers": list(app.process_managers),
        "sourceTopics": list(app.events),
        "commandTopics": list(app.commands),
    }


@pytest.fixture(params=[transfer, careful], ids=["transfer", "careful"], scope="module")
def app(request: pytest.FixtureRequest) -> App:
    found: App = request.param
    return found


@pytest.fixture(scope="module")
def rendered(app: App) -> Rendered:
    values = merged(modes()["strimzi"].values, {"topology": topology(app)})
    (found,) = render(Case(values=values, validated=True))
    assert found.error == ""
    assert found.faults == []
    return found


def test_topics_are_as_ensure_would_make_them(app: App, rendered: Rendered) -> None:
    # given what `topics ensure` makes with three copies
    settings = Settings(replication=3)
    ours = [each for each in wanted(app, MemoryLog(VirtualClock()), settings) if each.is_ours]

    # when the chart declares topics
    declared = {each["spec"]["topicName"]: each["spec"] for each in rendered.of("KafkaTopic")}

    # then they are equal, so that `topics ensure` finds nothing to say
    assert ours
    for each in ours:
        spec = declared[each.spec.name]
        assert spec["partitions"] == each.spec.partitions
        assert spec["replicas"] == 3
        assert {key: text(value) for key, value in spec["config"].items()} == {
            "min.insync.replicas": "2",
            "unclean.leader.election.enable": "false",
            **each.spec.config,
        }


def test_uninstalling_keeps_the_state(rendered: Rendered) -> None:
    for each in rendered.of("KafkaTopic"):
        assert each["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_user_may_do_what_pmstream_does_and_no_more(app: App, rendered: Rendered) -> None:
    acls = rendered.one("KafkaUser")["spec"]["authorization"]["acls"]

    for each in wanted(app, MemoryLog(VirtualClock()), Settings()):
        allowed = operations(acls, "topic", each.spec.name)
        needed = {operation.title().replace("_", "") for operation in NEEDED[each.role]}
        assert allowed == needed | MORE.get(each.role, set()), each.spec.name
    for manager in app.process_managers:
        names = Names(app.name, manager)
        for role in ("router", "instances"):
            assert operations(acls, "group", names.group(role)) == {"Describe", "Read"}
            transactional = names.transactional_id(role, "bank-pmstream-router-0-1")
            assert operations(acls, "transactionalId", transactional) == {"Describe", "Write"}
        assert {"Create", "Read", "Write"} <= operations(
            acls, "topic", f"{app.name}.{manager}.orders"
        )
    assert {"Create", "Delete", "Write"} <= operations(acls, "topic", f"{app.name}.doctor.1")
    assert operations(acls, "topic", "another") == set()
    assert operations(acls, "group", f"{app.name}.another.router") == set()


def operations(acls: list[dict[str, Any]], kind: str, name: str) -> set[str]:
    def fits() -> Iterator[dict[str, Any]]:
        for each in acls:
            of = each["resource"]
            exact = of.get("patternType") == "literal" and name == of["name"]
            prefixed = of.get("patternType") == "prefix" and name.startswith(of["name"])
            if of["type"] == kind and (exact or prefixed):
                yield each

    return {operation for each in fits() for operation in each["operations"]}


def text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
