"""Message types and schemas with all that Avro has, and an app over them, for tests."""

import datetime as dt
import io
import json
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from fastavro import parse_schema, schemaless_writer
from fastavro.schema import to_parsing_canonical_form
from msgspec import Struct, field

from pmstream import App, ProcessManager, Topic
from pmstream.errors import ConfigurationError
from pmstream.runtime.codec import Codec, check_schemas

EVENTS, COMMANDS, REGISTRY, MIXED = "zoo.events", "zoo.commands", "zoo.registry", "zoo.mixed"


def record(name: str, *fields: tuple[Any, ...]) -> dict[str, Any]:
    """A record schema; a field is its name, its type and, where it has one, its default."""
    keys = ("name", "type", "default")
    return {
        "type": "record",
        "name": name,
        "fields": [dict(zip(keys, each, strict=False)) for each in fields],
    }


def logical(base: str, name: str, **more: Any) -> dict[str, Any]:
    return {"type": base, "logicalType": name, **more}


PRICE = logical("bytes", "decimal", precision=12, scale=2)
MILLIS = logical("long", "timestamp-millis")
MONEY = record("Money", ("units", "long"), ("currency", "string", "EUR"))
CARD = record("Card", ("number", "string"))
ACCOUNT = record("Account", ("number", "string"), ("limit", ["null", "Money"]))
KIND = {"type": "enum", "name": "Kind", "symbols": ["CARD", "TRANSFER"]}

FLAT = record(
    "zoo.Flat",
    ("text", "string"),
    ("yes", "boolean"),
    ("small", "int"),
    ("large", "long"),
    ("single", "float"),
    ("double", "double"),
    ("raw", "bytes"),
    ("maybe", ["null", "string"]),
    ("either", ["null", "long", "string"]),
    ("at", MILLIS),
    ("local", logical("long", "local-timestamp-micros")),
    ("day", logical("int", "date")),
    ("time", logical("long", "time-micros")),
    ("price", PRICE),
    ("id", logical("string", "uuid")),
    ("due", ["null", MILLIS], None),
)
DEEP = record(
    "zoo.Deep",
    ("kind", KIND),
    ("total", MONEY),
    ("lines", {"type": "array", "items": "Money"}),
    ("rates", {"type": "map", "values": "double"}),
    ("means", ["null", CARD, ACCOUNT]),
    ("moments", {"type": "map", "values": ["null", MILLIS]}),
    ("code", {"type": "fixed", "name": "Code", "size": 4}),
    ("from", "string", ""),
    ("fallback", "Kind", "CARD"),
    ("start", MILLIS, 0),
    ("zero", PRICE, "\u0000"),
    ("salt", "bytes", "\u00ff"),
    ("gift", "Money", {"units": 1}),
)
SIMPLE = record("zoo.Simple", ("id", "string"), ("n", "long"), ("note", "string", "-"))
KEYED = record("zoo.Keyed", ("id", logical("string", "uuid")), ("n", "long"))
OTHER = record("zoo.Other", ("id", "string"))
SCHEMAS = {each["name"]: each for each in (FLAT, DEEP, SIMPLE, KEYED, OTHER)}


class Kind(Enum):
    CARD = "CARD"
    TRANSFER = "TRANSFER"


class Money(Struct, frozen=True):
    units: int
    currency: str = "EUR"


class Card(Struct, frozen=True, tag_field="-type", tag="zoo.Card"):
    number: str


class Account(Struct, frozen=True, tag_field="-type", tag="zoo.Account"):
    number: str
    limit: Money | None


class Flat(Struct, frozen=True):
    __schema__: ClassVar[str] = "zoo.Flat"

    text: str
    yes: bool
    small: int
    large: int
    single: float
    double: float
    raw: bytes
    maybe: str | None
    either: int | str | None
    at: dt.datetime
    local: dt.datetime
    day: dt.date
    time: dt.time
    price: Decimal
    id: UUID
    due: dt.datetime | None = None


class Deep(Struct, frozen=True):
    __schema__: ClassVar[str] = "zoo.Deep"

    kind: Kind
    total: Money
    lines: tuple[Money, ...]
    rates: dict[str, float]
    means: Card | Account | None
    moments: dict[str, dt.datetime | None]
    code: bytes
    from_: str = field(name="from", default="")
    fallback: Kind = Kind.CARD
    start: dt.datetime = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    zero: Decimal = Decimal("0.00")
    salt: bytes = b"\xff"
    gift: Money = Money(1)


class Simple(Struct, frozen=True):
    __schema__: ClassVar[str] = "zoo.Simple"

    id: str
    n: int
    note: str = "-"


class Keyed(Struct, frozen=True):
    __schema__: ClassVar[str] = "zoo.Keyed"

    id: UUID
    n: int


A_FLAT = Flat(
    text="t",
    yes=True,
    small=1,
    large=2,
    single=0.5,
    double=0.25,
    raw=b"r",
    maybe=None,
    either="e",
    at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    local=dt.datetime(2026, 1, 2),  # noqa: DTZ001 - it has no zone
    day=dt.date(2026, 1, 2),
    time=dt.time(1, 2),
    price=Decimal("1.50"),
    id=UUID(int=7),
)
A_DEEP = Deep(Kind.CARD, Money(5), (), {}, Card("1"), {}, b"code", "sender")


class Nothing(Struct, frozen=True):
    seen: int = 0


class Keeper(ProcessManager[Nothing]):
    name = "keeper"
    state = Nothing

    def interested(self, event: Any, metadata: Any) -> None:
        return None


def write(folder: Path, schemas: Mapping[str, Any] = SCHEMAS) -> Path:
    """Writes schema files, named as they are keyed, into a folder."""
    (folder / "previous").mkdir(parents=True, exist_ok=True)
    for key, schema in schemas.items():
        text = schema if isinstance(schema, str) else json.dumps(schema)
        (folder / f"{key}.avsc").write_text(text)
    return folder


def make_app(folder: Path, **overrides: Any) -> App:
    declared: dict[str, Any] = {
        "events": {EVENTS: [Flat, Deep, Simple]},
        "commands": {COMMANDS: {Flat: "text", Deep: "from_", Simple: "id", Keyed: "id"}},
        **overrides,
    }
    return App(name="zoo", schemas=folder, process_managers=[Keeper()], **declared)


def renamed(schema: Any, name: str, *aliases: str) -> Any:
    return schema | {"name": name, "aliases": list(aliases)}


def make_registry_app(folder: Path, ids: Mapping[int, str]) -> App:
    (folder / "ids.json").write_text(json.dumps({str(key): name for key, name in ids.items()}))
    return make_app(folder, events={REGISTRY: Topic([Simple], format="confluent-avro")})


def codec_of(folder: Path, older: Any, newer: Any, *types: type[Struct]) -> Codec:
    write(folder, {newer["name"]: newer, "previous/older": older})
    return Codec(make_app(folder, events={EVENTS: types}, commands={}))


def crc64(text: bytes) -> int:
    """CRC-64-AVRO bit by bit, as the specification's prose has it."""
    crc = 0xC15D213AA4D7A795
    for byte in text:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0xC15D213AA4D7A795 if crc & 1 else 0)
    return crc


def body(schema: Any, fields: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    schemaless_writer(stream, parse_schema(schema), fields)
    return stream.getvalue()


def framed(schema: Any, fields: dict[str, Any]) -> bytes:
    canonical = to_parsing_canonical_form(parse_schema(schema))
    return b"\xc3\x01" + crc64(canonical.encode()).to_bytes(8, "little") + body(schema, fields)


def faults(tmp_path: Path, schemas: Mapping[str, Any], *types: type[Struct]) -> list[str]:
    app = make_app(write(tmp_path, schemas), events={"t": types}, commands={})
    found = check_schemas(app)
    if found:
        with pytest.raises(ConfigurationError) as caught:
            Codec(app)
        assert list(caught.value.faults) == found
    else:
        Codec(app)
    return found


def a_type(**fields: Any) -> type[Struct]:
    """A type `T` of schema zoo.T; a field is its type, or its type and its default."""
    given = [
        (name, *(hint if isinstance(hint, tuple) else (hint,))) for name, hint in fields.items()
    ]
    return msgspec.defstruct("T", given, frozen=True, namespace={"__schema__": "zoo.T"})
