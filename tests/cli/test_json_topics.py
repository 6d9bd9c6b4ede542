"""`pmstream produce`, `consume` and `schemas check` where an app's topics are in JSON."""

import json
from pathlib import Path

import pytest

from pmstream.runtime.memory import MemoryLog
from tests.cli.conftest import Pmstream

MODULE = """
from typing import ClassVar
from msgspec import Struct
from pmstream import App, ProcessManager, Topic, routing

class Placed(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Placed"
    order: str
    n: int = 0

class Ship(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Ship"
    order: str

class State(Struct, frozen=True):
    n: int = 0

class Shipping(ProcessManager[State]):
    name = "shipping"
    state = State

    def interested(self, event):
        return routing.Start(event.order)

app = App(
    name="json-shop",
    events={"orders": Topic([Placed], "json", type_header="type")},
    commands={"ships": Topic({Ship: "order"}, "json", type_field="type")},
    process_managers=[Shipping()],
)
"""
APP = "json_shop:app"


@pytest.fixture
def shop(log: MemoryLog, pmstream: Pmstream, folder: Path) -> MemoryLog:
    (folder / "json_shop.py").write_text(MODULE)
    assert pmstream("topics", "ensure", APP, "--create-missing").exit_code == 0
    return log


def consumed(pmstream: Pmstream, topic: str) -> list[dict[str, object]]:
    result = pmstream("consume", APP, topic, "-o", "json")
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_an_app_in_json_needs_no_folder_of_schemas(shop: MemoryLog, pmstream: Pmstream) -> None:
    result = pmstream("schemas", "check", APP)

    assert (result.exit_code, result.output) == (0, f"types and schemas of {APP} agree\n")


def test_what_is_produced_is_consumed(shop: MemoryLog, pmstream: Pmstream) -> None:
    event, command = '{"order": "o-1", "n": 3}', '{"order": "o-1"}'
    pmstream("produce", APP, "orders", "--type", "Placed", "--json", event)
    pmstream("produce", APP, "ships", "--type", "shop.Ship", "--json", command)

    [order], [ship] = consumed(pmstream, "orders"), consumed(pmstream, "ships")

    assert order["value"] == {"order": "o-1", "n": 3}
    assert (order["type"], order["headers"]) == ("Placed", {"type": "shop.Placed"})
    assert ship["value"] == {"order": "o-1"}
    assert (ship["type"], ship["key"], ship["headers"]) == ("Ship", "o-1", {})


def test_what_others_wrote_is_shown_as_far_as_it_can_be(
    shop: MemoryLog, pmstream: Pmstream
) -> None:
    writer = shop.writer()
    for header in (b"Placed", b"shop.Gone", None):
        writer.produce("orders", b'{"order":"o"}', b"k", (("type", header),), partition=0)
    writer.produce("orders", b'{"order":5}', b"k", (("type", b"Placed"),), partition=0)
    for name in (b"Placed", b"shop.Gone"):
        dead = (("pm-source", b"orders-0-9"), ("type", name))
        writer.produce("json-shop.shipping.dead-letters", b'{"order":"o"}', b"k", dead, partition=0)
    writer.flush(1)

    short, undeclared, nameless, wrong = consumed(pmstream, "orders")
    letter, of_old = consumed(pmstream, "json-shop.shipping.dead-letters")

    assert (short["type"], short["value"]) == ("Placed", {"order": "o", "n": 0})
    assert (undeclared["type"], undeclared["value"]) == ("shop.Gone", None)
    assert "has nothing in its header 'type'" in str(nameless["error"])
    assert "is no Placed: field order: Expected `str`, got `int`" in str(wrong["error"])
    assert letter["value"] == {"order": "o", "n": 0}
    assert (of_old["type"], of_old["value"]) == ("shop.Gone", None)


def test_what_cannot_be_produced_is_one_sentence(shop: MemoryLog, pmstream: Pmstream) -> None:
    typed = '{"order": "o-1", "type": "shop.Ship"}'

    result = pmstream("produce", APP, "ships", "--type", "Ship", "--json", typed)

    assert result.exit_code == 2
    assert result.stderr == (
        "pmstream: message 1: it is no Ship: it has no field type (0 before it are written)\n"
    )
