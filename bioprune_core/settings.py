"""Settings of an installation, from `BIOPRUNE_*` environment variables."""

import os
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from bioprune_core.errors import InputError

__all__ = ["Settings", "host_name"]


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
        description="Further host names that the web server answers to, such as the one of a proxy before "
        "it, separated by commas, at any port; addresses, localhost and the machine's own name are always "
        "answered.",
    )
    import_folders: str = Field(
        default="",
        description="Folders of the server that people may take sequence files, task tables and models from, "
        "separated like those of PATH. When unset: any folder as long as the server is reached from its own "
        "machine alone, else none.",
    )
    stop_timeout_s: float = Field(
        default=3.0, gt=0, le=5, description="Seconds between SIGTERM and SIGKILL of a cancelled stage."
    )

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: str) -> str:
        for name in value.split(","):
            if "/" in name:
                raise ValueError(
                    f"BIOPRUNE_HOSTS names {name.strip()!r}, which is an address of a page; write the host "
                    "name alone, such as lab.example.org"
                )
        return value

    @field_validator("import_folders")
    @classmethod
    def _absolute(cls, value: str) -> str:
        for folder in _split(value):
            if not folder.is_absolute():
                raise ValueError(
                    f"BIOPRUNE_IMPORT_FOLDERS names {str(folder)!r}, which is no absolute path; "
                    "write every folder from the root on"
                )
        return value

    @classmethod
    def from_environment(cls) -> Self:
        """The settings of this process's environment.

        Raises:
            InputError: A variable has a value that cannot be; all of them are named.
        """
        try:
            return cls()
        except ValidationError as error:
            sentences = []
            for found in error.errors():
                name = f"BIOPRUNE_{found['loc'][0]}".upper()
                own = found.get("ctx", {}).get("error")  # One of the sentences of this module.
                sentences.append(
                    f"{own}."
                    if own
                    else f"{name} is {found['input']!r}: {found['msg']}. Correct or unset it."
                )
            raise InputError(" ".join(sentences), detail=str(error)) from error

    @property
    def host_names(self) -> tuple[str, ...]:
        """The names of `hosts`, without ports."""
        return tuple(filter(None, map(host_name, self.hosts.split(","))))

    @property
    def import_roots(self) -> tuple[Path, ...]:
        """The folders of `import_folders`, links followed."""
        return tuple(folder.resolve() for folder in _split(self.import_folders))


def host_name(host: str) -> str:
    """The name in a `Host` header or the like, in lower case, without its port: "lab.example.org:8443"."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].rstrip(".")


def _split(folders: str) -> list[Path]:
    return [Path(part.strip()).expanduser() for part in folders.split(os.pathsep) if part.strip()]
