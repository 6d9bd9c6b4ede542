"""Message types in JSON, and an app over them, for tests."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec
from msgspec import Struct

from pmstream import App, Topic
from tests.runtime import zoo
from tests.runtime.zoo import Kind

IN_HEADER, IN_FIELD = "by.header", "by.field"


class Placed(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Placed"

    order: str
    n: int = 0
    price: Decimal | None = None
    at: dt.datetime | None = None
    id: UUID | None = None
    raw: bytes = b""
    kind: Kind = Kind.CARD
    tags: frozenset[str] = frozenset()
    rates: dict[str, float] = {}
    from_: str = msgspec.field(name="from", default="")


class Empty(Struct, frozen=True):
    __schema__: ClassVar[str] = "Empty"


class OtherEmpty(Struct, frozen=True):
    __schema__: ClassVar[str] = "shop.Empty"


class OneBilled(Struct, frozen=True):
    __schema__: ClassVar[str] = "a.Billed"
    n: int = 1


class TwoBilled(Struct, frozen=True):
    __schema__: ClassVar[str] = "b.Billed"
    n: int = 2


EVENTS: list[type[Struct]] = [Placed, Empty, OtherEmpty, OneBilled, TwoBilled]


def make_app(folder: Path, **overrides: Any) -> App:
    declared: dict[str, Any] = {
        "events": {
            IN_HEADER: Topic(EVENTS, "json", type_header="type"),
            IN_FIELD: Topic(EVENTS, "json", type_field="type"),
        },
        "commands": {
            "ship": Topic({Placed: "order"}, "json", type_header="kind"),
            "bill": Topic({OneBilled: "n"}, "json", type_field="kind"),
        },
        **overrides,
    }
    return App(name="shop", schemas=folder, process_managers=[zoo.Keeper()], **declared)
