"""Settings of an installation, from `BIOPRUNE_*` environment variables."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["Settings"]


class Settings(BaseSettings):
    """What an installation can be told. Every field is read from `BIOPRUNE_<FIELD>`."""

    model_config = SettingsConfigDict(env_prefix="BIOPRUNE_", frozen=True)

    workspace: Path = Field(
        default=Path("data/workspace"), description="Folder of datasets, runs, coresets and databases."
    )
    database_url: str | None = Field(
        default=None, description="PostgreSQL for catalogue and jobs; SQLite files when unset."
    )
    upload_limit_bytes: int = Field(
        default=1 << 40, gt=0, description="Largest file that a person may upload."
    )
    hosts: str = Field(
        default="",
        description="Further host names that the web server answers to, separated by commas; addresses, "
        "localhost and the machine's own name are always answered.",
    )
    stop_timeout_s: float = Field(
        default=3.0, gt=0, le=5, description="Seconds between SIGTERM and SIGKILL of a cancelled stage."
    )
