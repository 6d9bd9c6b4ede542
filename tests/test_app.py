"""App: what it accepts, and all of its faults at once."""

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from msgspec import Struct

from pmstream.app import App, Names, Topic
from pmstream.core import routing
from pmstream.core.process import ProcessManager
from pmstream.errors import ConfigurationError


class Placed(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Placed"
    order: str


class Ship(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Ship"
    order: str


class Bill(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Bill"
    order: str


class Nameless(Struct, frozen=True):
    order: str


class State(Struct, frozen=True):
    n: int = 0


class Orders(ProcessManager[State]):
    name = "orders"
    state = State

    def interested(self, event: Placed) -> routing.Answer:
        return routing.Start(event.order)


def app(**changes: Any) -> App:
    arguments: dict[str, Any] = {
        "name": "shop",
        "schemas": "avro",
        "events": {"orders": [Placed]},
        "commands": {"shipping": {Ship: "order"}},
        "process_managers": [Orders()],
    }
    return App(**{**arguments, **changes})


def faults_of(**changes: Any) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        app(**changes)
    return list(caught.value.faults)


def test_an_app_without_faults() -> None:
    found = app()

    assert found.manager("orders").name == "orders"
    assert found.events["orders"].types == (Placed,)
    assert found.commands["shipping"].keys == {Ship: "order"}


def test_schemas_stand_beside_the_module_that_builds_the_app() -> None:
    found = App(
        name="shop",
        schemas="avro",
        events={},
        commands={},
        process_managers=[Orders()],
    )

    assert found.schemas == Path(__file__).parent / "avro"


def test_a_topic_may_have_its_own_format() -> None:
    found = app(events={"orders": Topic([Placed], format="confluent-avro")})

    assert found.events["orders"].format == "confluent-avro"


def test_an_unknown_process_manager_is_named_with_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="app shop has no process manager 'x'; it has ord"):
        app().manager("x")


def test_a_topic_in_json_says_where_a_type_is_named() -> None:
    found = app(
        events={"orders": Topic([Placed], format="json", type_header="type")},
        commands={"shipping": Topic({Ship: "order"}, format="json", type_field="type")},
    )

    assert found.events["orders"].wire == ("json", "type", "")
    assert found.commands["shipping"].wire == ("json", "", "type")


def a_type(schema: str = "shop.T", field: str = "n", hint: Any = int, **options: Any) -> Any:
    return msgspec.defstruct("T", [(field, hint)], namespace={"__schema__": schema}, **options)


IN_FIELD = {"format": "json", "type_field": "type"}


@pytest.mark.parametrize(
    ("types", "options", "words"),
    [
        ([Placed], {"format": "json"}, "format json needs type_header=... or type_field=..., one"),
        ([Placed], {**IN_FIELD, "type_header": "t"}, "format json needs type_header=... or type_"),
        ([Placed], {"type_header": "t"}, "type_header and type_field belong to format json"),
        ([Placed], {"format": "json", "type_header": "\n"}, "'\\n' is no name for a header or a"),
        ([Placed], {"format": "json", "type_field": "x" * 256}, "is no name for a header or a fie"),
        ([Placed], {"format": "json", "type_header": "event-id"}, "is a header of pmstream's own"),
        ([Placed], {"format": "json", "type_header": "pm-type"}, "is a header of pmstream's own"),
        ([a_type("")], IN_FIELD, "T has the __schema__ '': that is no name for a type"),
        ([a_type(array_like=True)], IN_FIELD, "T is array_like; a JSON message is an object"),
        ([a_type(field="type")], IN_FIELD, "T has a field 'type' itself, which is the topic's"),
        ([a_type(tag="t")], IN_FIELD, "T has the tag_field 'type', which is the topic's type_fi"),
        ([a_type(forbid_unknown_fields=True)], IN_FIELD, "T forbids unknown fields, and so the t"),
        ([a_type(hint="Gone")], IN_FIELD, "T cannot be read from JSON: name 'Gone' is not defined"),
        ([a_type(hint=str | bytes)], IN_FIELD, "T cannot be read from JSON: Type unions may not"),
    ],
)
def test_a_json_topic_at_fault_is_told(types: Any, options: Any, words: str) -> None:
    (fault,) = faults_of(events={"orders": Topic(types, **options)})

    assert fault.startswith("topic orders: ")
    assert words in fault


def test_a_struct_may_be_stricter_where_a_header_names_the_type() -> None:
    strict = [a_type(forbid_unknown_fields=True, tag="t"), a_type("shop.U", field="type")]
    found = app(events={"orders": Topic(strict, format="json", type_header="type")})

    assert len(found.events["orders"].types) == 2


def test_all_faults_of_a_json_type_are_told_at_once() -> None:
    worst = a_type("", field="type", hint="Gone", forbid_unknown_fields=True)

    assert len(faults_of(events={"orders": Topic([worst, Nameless], **IN_FIELD)})) == 5


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "my shop"}, "app name 'my shop' is not 1 to 100"),
        ({"events": {"a/b": [Placed]}}, "topic 'a/b' is not a legal Kafka topic name"),
        ({"commands": {"": {Ship: "order"}}}, "topic '' is not a legal Kafka topic name"),
        ({"process_managers": []}, "app shop has no process managers"),
        ({"process_managers": [Orders(), Orders()]}, "two process managers are named 'orders'"),
        ({"events": {"orders": [Nameless]}}, "topic orders: Nameless has no __schema__"),
        ({"events": {"orders": ["Placed"]}}, "topic orders: 'Placed' is not a msgspec.Struct type"),
        ({"events": {"orders": Topic([Placed], format="xml")}}, "format 'xml' is none of avro"),
        ({"commands": {"shipping": [Ship]}}, "topic shipping: Ship needs a key field"),
        ({"commands": {"shipping": {Ship: "id"}}}, "topic shipping: Ship has no key field 'id'"),
        (
            {"commands": {"a": {Ship: "order"}, "b": {Ship: "order"}}},
            "command Ship stands in two topics, a and b",
        ),
        ({"process_managers": [Orders(fan_out_limit=0)]}, "orders: fan_out_limit is 0"),
        (
            {"process_managers": [Orders(start_from={"order": {0: 5}})]},
            "orders: start_from names order, which is no source topic; those are orders",
        ),
        (
            {"process_managers": [Orders(keyed="order")]},
            "orders: keyed is 'order', which is no source topic; those are orders",
        ),
        (
            {
                "events": {"orders": [Placed], "more": [Placed]},
                "process_managers": [Orders(keyed="orders")],
            },
            "orders: keyed is 'orders', but the app has more source topics (orders, more)",
        ),
    ],
)
def test_a_fault_is_found_alone(changes: dict[str, Any], words: str) -> None:
    (fault,) = faults_of(**changes)

    assert words in fault


def test_faults_of_several_kinds_are_reported_at_once() -> None:
    faults = faults_of(
        name="my shop",
        events={"or ders": [Nameless], "orders": Topic([Placed], format="xml")},
        commands={"shipping": {Ship: "order", Bill: "order"}, "billing": {Bill: "order"}},
        process_managers=[Orders(undecodable="x", backlog_limit=0)],
    )

    assert len(faults) == 7, faults


def test_all_faults_are_reported_at_once() -> None:
    faults = faults_of(
        name="my shop",
        events={"or ders": [Nameless], "orders": Topic([Placed], format="xml")},
        commands={"shipping": {Ship: "id", Bill: "order"}, "billing": {Bill: "order"}},
        process_managers=[Orders(undecodable="x"), Orders(backlog_limit=0)],
    )

    assert len(faults) == 9, faults


def test_names_of_what_belongs_to_a_process_manager() -> None:
    names = Names("shop", "orders")

    assert names.inbox == "shop.orders.inbox"
    assert names.changelog == "shop.orders.changelog"
    assert names.dead_letters == "shop.orders.dead-letters"
    assert names.group("router") == "shop.orders.router"
    assert names.transactional_id("router", "w1") == "shop.orders.router.w1"
