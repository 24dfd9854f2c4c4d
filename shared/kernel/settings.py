"""What two deployments may set differently, read from the environment."""

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.guardian import Level
from shared.contracts.messages import Authority


class Settings(BaseSettings):
    """`OMOI_DATABASE_URL`, `OMOI_NATS_URL` and their kin; without the two URLs the embedded stack is used."""

    model_config = SettingsConfigDict(env_prefix="OMOI_", extra="ignore")

    database_url: str | None = None
    nats_url: str | None = None
    credentials: Path | None = Field(
        default=None,
        description="File of `omoi credentials create`: the URLs name no user, each service takes its own.",
    )
    home: Path = Field(default=Path(".omoi"), description="Where the embedded stack keeps its data.")
    sync_always: bool = Field(default=True, description="Whether the embedded JetStream syncs every message.")
    allow_anonymous: bool = Field(default=True, description="Whether commands without an actor are taken.")
    grants: dict[str, Level] = Field(
        default_factory=lambda: {"operator": Authority.SYSTEM},
        description='Authority of actors, for example `{"ann": "GUARDIAN"}`; everybody else is a WORKER. '
        "The guardian may grant more.",
    )
    replicas: int = Field(default=1, ge=1, le=5, description="Copies of the streams in a NATS cluster.")
    workflows: Path | None = Field(
        default=None,
        description="Folder of workflow files: each is loaded at the start and whenever it changes.",
    )
    log_level: str = "info"
    traces: bool = Field(
        default=False,
        description="Record OpenTelemetry spans, to OTEL_EXPORTER_OTLP_ENDPOINT if set, else to the console.",
    )
    check_seconds: float = Field(
        default=5.0,
        gt=0,
        description="How often a service looks for events that the broker lost or did not deliver.",
    )
    position_wait_seconds: float = Field(
        default=5.0, gt=0, description="How long a query waits for the `min_position` it asks for."
    )
    model_url: str | None = Field(
        default=None,
        description="Base URL of an OpenAI-compatible API, for example `http://localhost:8000/v1`.",
    )
    model_key: SecretStr | None = Field(default=None, description="Key for that API, where it wants one.")
    model: str | None = Field(
        default=None, description="Name of the model that reviews and sums up; none is asked when absent."
    )
    model_timeout_seconds: float = Field(
        default=60.0, gt=0, le=240, description="How long the model may take for a review."
    )
    embedding_provider: Literal["hashing", "local", "openai"] = Field(
        default="hashing",
        validation_alias=AliasChoices("embedding_provider", "omoi_embedding_provider"),
        description="Who makes vectors of memories: `hashing` needs no model, `local` needs "
        "sentence-transformers, `openai` an OpenAI-compatible API. Also read without the prefix OMOI_.",
    )
    embedding_model: str | None = Field(
        default=None,
        description="Model of the provider, by name; for `local` also a folder. text-embedding-3-small and "
        "all-MiniLM-L6-v2 when absent.",
    )
    embedding_url: str | None = Field(
        default=None, description="Base URL of the API for vectors; that of the model when absent."
    )
    embedding_key: SecretStr | None = Field(
        default=None, description="Key for that API; that of the model when absent."
    )
    http_port: int | None = Field(
        default=None, description="Port of health, metrics and AsyncAPI; none when absent."
    )
    http_host: str = "127.0.0.1"
