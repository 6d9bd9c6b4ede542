"""Settings: what a deployment sets (brokers, security, directories, limits).

Rule: every fault of every source is told at once, and no fault or repr shows a secret.
"""

import os
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from pmstream.config_sources import (
    CONFIG,
    DEFAULT_FILE,
    NESTED,
    PREFIX,
    SECRETS_DIR,
    file,
    flat,
    secrets,
    verbatim,
)
from pmstream.errors import ConfigurationError
from pmstream.properties import MASK, forbidden, is_secret, without_credentials

NOT_SETTINGS = frozenset(
    {
        CONFIG,
        SECRETS_DIR,
        "PMSTREAM_JAVA",
        "PMSTREAM_CACHE",
        "PMSTREAM_PYTHON",
        "PMSTREAM_PURE_PYTHON",
        "PMSTREAM_REPORT_FD",
    }
)
"""Variables of our prefix that are no settings; so is all that begins with `PMSTREAM_TEST_`."""

CONTRADICTIONS = (
    # the smaller, the larger, what would happen
    ("session_timeout_ms", "max_poll_interval_ms", "a slow worker would look dead first"),
    ("commit_interval_ms", "max_poll_interval_ms", "a worker would be expelled waiting"),
    ("commit_deadline_ms", "max_poll_interval_ms", "a commit could outlast its member"),
)

_OF_A_SERVICE = re.compile(r"PMSTREAM.*_(SERVICE_HOST|SERVICE_PORT\w*|PORT\w*)")


class Settings(BaseSettings):
    """What a deployment sets; frozen. Take it from `load`, which tells faults in sentences.

    Sources, the first wins: arguments, environment `PMSTREAM_*`, a TOML file (`PMSTREAM_CONFIG`,
    else `pmstream.toml` here), secret files in the folder `PMSTREAM_SECRETS_DIR`, named like the
    variables.

    Attributes:
        bootstrap_servers: `host:port`, several separated by commas.
        kafka: librdkafka properties to pass through; `PMSTREAM_KAFKA__sasl__mechanism` is
            `sasl.mechanism`.
        group_protocol: "classic", or "consumer" (KIP-848), which knows no static members.
        client_id: how the brokers' logs call our clients.
        app: what a `make_app(settings)` wants to know, the app's own names and values, as text:
            `PMSTREAM_APP__tenant=acme`, or `tenant = "acme"` under `[app]` in the file, is
            `settings.app["tenant"]`. Names are in lower case; `a__b` and `[app.a] b` are `a.b`.
        state_dir: where workers keep their stores.
        inbox_partitions: of topics that `topics ensure` makes; later `topics repartition` does.
        replication: of these topics; None is the cluster's default.
        inbox_retention_hours: how long what was handled stays in the inbox.
        max_batch_records, max_batch_bytes: a batch that is so large is committed.
        commit_interval_ms: a batch that is so old is committed; more of it is more throughput,
            less of it is less delay.
        commit_deadline_ms: how long a commit is repeated while brokers do not answer.
        session_timeout_ms: a worker that was silent so long has left its group.
        max_poll_interval_ms: a worker whose loop stands still so long is replaced.
        transaction_timeout_ms: brokers abort what somebody who is gone left open so long.
        restore_stall_timeout_ms: a restore that stands still so long is begun again.
        store_flush_interval_s: seconds between flushes of a store.
        max_message_bytes: the largest command or state.
        cache_bytes: decoded instances that a worker keeps in memory.
        shutdown_timeout_s: seconds that workers get to end politely.
        health_port: where a supervisor serves /startupz, /readyz, /livez and /metrics; 0: nowhere.
        tracing: whether events whose `traceparent` has the sampled flag get spans.
        tracing_endpoint: base URL of the collector (OTLP over HTTP); empty: what
            OTEL_EXPORTER_OTLP_ENDPOINT says, else port 4318 of this machine.
        trace_mode: "parent": handling an event goes on in its producer's trace; "link": it begins
            a trace of its own, linked to that.
        trace_spans_per_second: of one worker; events beyond that go untraced, and are counted.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", env_ignore_empty=True, frozen=True
    )

    bootstrap_servers: str = Field(default="127.0.0.1:9092", min_length=1)
    kafka: dict[str, str] = Field(default_factory=dict)
    group_protocol: Literal["classic", "consumer"] = "classic"
    client_id: str = "pmstream"
    app: dict[str, str] = Field(default_factory=dict)
    state_dir: Path = Path("state")
    inbox_partitions: int = Field(default=12, ge=1, le=10_000)
    replication: int | None = Field(default=None, ge=1)
    inbox_retention_hours: float = Field(default=168, gt=0)
    max_batch_records: int = Field(default=2_000, ge=1)
    max_batch_bytes: int = Field(default=16 << 20, ge=1_000)
    commit_interval_ms: int = Field(default=50, ge=0)
    commit_deadline_ms: int = Field(default=60_000, ge=1_000)
    session_timeout_ms: int = Field(default=10_000, ge=1_000)
    max_poll_interval_ms: int = Field(default=120_000, ge=10_000)
    transaction_timeout_ms: int = Field(default=60_000, ge=1_000)
    restore_stall_timeout_ms: int = Field(default=60_000, ge=1_000)
    store_flush_interval_s: float = Field(default=300, gt=0)
    max_message_bytes: int = Field(default=1_000_000, ge=1_000)
    cache_bytes: int = Field(default=64 << 20, ge=0)
    shutdown_timeout_s: float = Field(default=30, gt=0)
    health_port: int = Field(default=9464, ge=0, le=65_535)
    tracing: bool = False
    tracing_endpoint: str = Field(default="", pattern=r"^(https?://\S+)?$")
    trace_mode: Literal["parent", "link"] = "parent"
    trace_spans_per_second: int = Field(default=1_000, ge=1)

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Reads all sources; `overrides` win.

        Raises:
            ConfigurationError: with every fault found.
        """
        faults = list(_unknown_variables())
        try:
            found = cls(**overrides)
        except ValidationError as error:
            faults += _sentences(error)
        except (SettingsError, tomllib.TOMLDecodeError, OSError) as error:
            faults.append(_unreadable(error))
        if faults:
            raise ConfigurationError(*faults)
        return found

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, environment, file, secrets; Kafka properties as flat names in each."""
        environment = verbatim(flat(env_settings()))
        sources = (flat(init_settings()), environment, flat(file()), flat(secrets()))
        return tuple(InitSettingsSource(settings_cls, each) for each in sources)

    @field_validator("app")
    @classmethod
    def _told_when_missing(cls, value: dict[str, str]) -> dict[str, str]:
        return _AppValues(value)

    @field_validator("kafka")
    @classmethod
    def _no_property_that_exactly_once_rests_on(cls, value: dict[str, str]) -> dict[str, str]:
        refused = forbidden(value)
        if refused:
            raise ValueError("\n".join(refused))
        return value

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        faults = []
        for smaller, larger, because in CONTRADICTIONS:
            low, high = getattr(self, smaller), getattr(self, larger)
            if low >= high:
                faults.append(
                    f"{smaller} is {low}, which must be less than {larger}, {high}: {because}"
                )
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            if name == "app":  # whose secrets may have any name
                yield name, dict.fromkeys(value, MASK)
            elif name == "kafka":
                yield name, {each: MASK if is_secret(each) else value[each] for each in value}
            else:
                yield name, without_credentials(value) if isinstance(value, str) else value


class _AppValues(dict[str, str]):
    """A factory that asks for what nobody set must not end in a bare KeyError."""

    def __missing__(self, name: str) -> str:
        raise ConfigurationError(
            f"the app asks for a value {name!r} that is not set: set {PREFIX}APP__"
            f"{name.replace('.', '__')}, or {name} under [app] in {DEFAULT_FILE}"
        )


def _unknown_variables() -> Iterator[str]:
    known = {PREFIX + field.upper() for field in Settings.model_fields} | NOT_SETTINGS
    for variable in sorted(os.environ):
        name = variable.upper()
        ours = name.startswith(PREFIX) and not name.startswith(
            (*(f"{PREFIX}{field.upper()}__" for field in NESTED), PREFIX + "TEST_")
        )
        if not ours or name in known:
            continue
        if _OF_A_SERVICE.fullmatch(name):
            hint = "if Kubernetes made it for a Service, set enableServiceLinks: false"
        else:
            hint = "correct its name or remove it"
        yield f"environment variable {variable} is no setting of pmstream: {hint}"


def _sentences(error: ValidationError) -> Iterator[str]:
    for each in error.errors(include_url=False):
        text = each["msg"].removeprefix("Value error, ")
        if each["type"] == "value_error":
            yield from text.split("\n")
            continue
        field, *inner = (str(part) for part in each["loc"])
        if each["type"] == "extra_forbidden":
            known = ", ".join(Settings.model_fields)
            yield f"{field} is no setting of pmstream; settings are {known}"
        elif field in NESTED:
            yield f"{NESTED[field]} {'.'.join(inner)} cannot be read: {_lower(text)}"
        else:
            told = without_credentials(repr(each["input"]))
            yield f"setting {field} is {told}{_origin(field)}: {_lower(text)}"


def _origin(field: str) -> str:
    variable = PREFIX + field.upper()
    return f" ({variable})" if variable in os.environ else ""


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _unreadable(error: Exception) -> str:
    if isinstance(error, OSError):
        variable = (
            SECRETS_DIR if os.environ.get(SECRETS_DIR, "-") in str(error.filename) else CONFIG
        )
        return f"{error.filename} cannot be read: {error.strerror}; correct {variable}"
    if isinstance(error, tomllib.TOMLDecodeError):
        return f"{os.environ.get(CONFIG) or DEFAULT_FILE} is not TOML: {error}"
    variable, example = PREFIX + "KAFKA", "PMSTREAM_KAFKA__sasl__mechanism"
    if 'field "app"' in str(error):
        variable, example = PREFIX + "APP", "PMSTREAM_APP__tenant"
    return f"{variable} is not a JSON object: use {example} and the like"
