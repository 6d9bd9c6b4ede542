"""Settings: what a deployment sets (brokers, security, directories, limits)."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """What a deployment sets; frozen.

    Sources, the first wins: environment `PMSTREAM_*`, a TOML file, secret files.
    """

    model_config = SettingsConfigDict(env_prefix="PMSTREAM_", env_nested_delimiter="__", frozen=True)

    bootstrap_servers: str = "127.0.0.1:9092"
    kafka: dict[str, str] = Field(default_factory=dict)
    state_dir: Path = Path("state")
    inbox_partitions: int = Field(12, ge=1, le=10_000)
    replication: int | None = Field(None, ge=1)
    inbox_retention_hours: float = Field(168, gt=0)
    max_batch_records: int = Field(2_000, ge=1)
    max_batch_bytes: int = Field(16 << 20, ge=1_000)
    commit_interval_ms: int = Field(50, ge=0)
    commit_deadline_ms: int = Field(60_000, ge=1_000)
    session_timeout_ms: int = Field(10_000, ge=1_000)
    max_poll_interval_ms: int = Field(120_000, ge=10_000)
    transaction_timeout_ms: int = Field(60_000, ge=1_000)
    restore_stall_timeout_ms: int = Field(60_000, ge=1_000)
    store_flush_interval_s: float = Field(300, gt=0)
    max_message_bytes: int = Field(1_000_000, ge=1_000)
    cache_bytes: int = Field(64 << 20, ge=0)
    shutdown_timeout_s: float = Field(30, gt=0)
